/* CBSSInscription with gSOAP 2.8 and its wsse plugin: gsoap_client SANDBOX_DIRECTORY

   Inserts, consults and deletes as the demo application pcsa-web. Needs gSOAP, OpenSSL and a C compiler
   (apt-get install gsoap libgsoap-dev libssl-dev gcc). The policy in the description makes wsdl2h import "wsse.h":

     curl --cacert .cbss-sandbox/pki/tls-ca.crt.pem -o service.wsdl 'https://localhost:8443/CBSSInscription/v1?singleWsdl=x509'
     wsdl2h -c -o service.h service.wsdl
     soapcpp2 -c -C -L -w -x -I/usr/share/gsoap/import service.h
     gcc -DWITH_OPENSSL -DWITH_DOM -DWITH_GZIP -I. -I/usr/share/gsoap/plugin -o gsoap_client \
         examples/gsoap_client.c soapC.c soapClient.c /usr/share/gsoap/plugin/{wsseapi,smdevp,mecevp,threads}.c \
         /usr/share/gsoap/custom/struct_timeval.c -lgsoapssl -lssl -lcrypto -lz
*/

#include "CBSSInscriptionSOAPBinding.nsmap"
#include "soapH.h"
#include "wsseapi.h"
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIFETIME_SECONDS 60

static X509 *certificate;
static EVP_PKEY *private_key;

/* Has the next request signed: token, Timestamp and Body. Called before each call. This is the part to copy. */
static int sign_next(struct soap *soap)
{
  soap_wsse_delete_Security(soap);
  return soap_wsse_add_Timestamp(soap, "Time", LIFETIME_SECONDS)
      || soap_wsse_add_BinarySecurityTokenX509(soap, "X509Token", certificate)
      || soap_wsse_add_KeyInfo_SecurityTokenReferenceX509(soap, "#X509Token")
      || soap_wsse_sign_body(soap, SOAP_SMD_SIGN_RSA_SHA256, private_key, 0)
      || soap_wsse_sign_only(soap, "Time X509Token Body");
}

/* --- the demonstration ------------------------------------------------------------------------------------------- */

static char ssin[] = "81121844355"; /* synthetic: the sandbox's person `nr_active` */
static char context[] = "PCSA:DEBT_MEDIATION";
static char legal_context[] = "PCSA:SOCIAL_INQUIRY";
static char begin_date[] = "2026-01-01", end_date[] = "2026-06-30";

static FILE *open_in(const char *directory, const char *name)
{
  char path[1024];
  FILE *file;
  snprintf(path, sizeof path, "%s/%s", directory, name);
  file = fopen(path, "r");
  if (file == NULL)
  {
    perror(path);
    exit(1);
  }
  return file;
}

static void read_credentials(const char *directory, char *url, size_t url_bytes)
{
  char line[1024];
  FILE *file = open_in(directory, "pki/pcsa-web.crt.pem");
  certificate = PEM_read_X509(file, NULL, NULL, NULL);
  fclose(file);
  file = open_in(directory, "pki/pcsa-web.key.pem");
  private_key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
  fclose(file);
  file = open_in(directory, "pcsa-web.toml");
  while (fgets(line, sizeof line, file) != NULL)
    if (strncmp(line, "url = \"", 7) == 0)
      snprintf(url, url_bytes, "%.*s", (int)strcspn(line + 7, "\""), line + 7);
  fclose(file);
}

static int tell(struct soap *soap, const char *operation, const char *code)
{
  if (soap->error)
    soap_print_fault(soap, stdout); /* the message could not be processed; a business refusal is a reply */
  else
    printf("%s %s\n", operation, code);
  return soap->error;
}

int main(int argc, char **argv)
{
  unsigned short sector = 17, institution = 1;
  struct ns2__OrganizationIdentificationType organization = {.sector = &sector, .institution = &institution};
  struct ns2__InformationCustomerType customer = {.customerIdentification = &organization};
  struct ns2__OpenPeriodType period = {.beginDate = begin_date, .endDate = end_date};
  struct ns3__DeclaredInscriptionType inscription = {.inscriptionContext = context, .period = &period};
  struct ns3__InsertDeclarationType declared = {.ssin = ssin, .inscription = &inscription};
  char *contexts[] = {context};
  struct ns3__ConsultCriteriaType criteria = {.ssin = ssin, .__sizeinscriptionContext = 1, .inscriptionContext = contexts};
  struct ns3__DeleteDeclarationType deleted = {.ssin = ssin, .inscriptionContext = context};
  struct ns3__InsertInscriptionRequestType insert = {&customer, NULL, legal_context, &declared};
  struct ns3__ConsultInscriptionsRequestType consult = {&customer, NULL, legal_context, &criteria};
  struct ns3__DeleteInscriptionRequestType delete = {&customer, NULL, legal_context, &deleted};
  struct ns3__InsertInscriptionResponseType inserted;
  struct ns3__ConsultInscriptionsResponseType found;
  struct ns3__DeleteInscriptionResponseType removed;
  char url[1024] = "", authorities[1024];
  struct soap *soap = soap_new1(SOAP_XML_CANONICAL); /* exclusive canonical XML, as it must be for a signature */

  if (argc != 2)
    return 1;
  read_credentials(argv[1], url, sizeof url);
  snprintf(authorities, sizeof authorities, "%s/pki/tls-ca.crt.pem", argv[1]);
  soap_register_plugin(soap, soap_wsse);
  if (soap_ssl_client_context(soap, SOAP_SSL_DEFAULT, NULL, NULL, authorities, NULL, NULL))
    return tell(soap, "TLS", "");

  sign_next(soap);
  soap_call___ns1__insertInscription(soap, url, NULL, &insert, &inserted);
  if (tell(soap, "insertInscription", soap->error ? "" : inserted.status->code))
    return 1;
  sign_next(soap);
  soap_call___ns1__consultInscriptions(soap, url, NULL, &consult, &found);
  if (tell(soap, "consultInscriptions", soap->error ? "" : found.status->code))
    return 1;
  sign_next(soap);
  soap_call___ns1__deleteInscription(soap, url, NULL, &delete, &removed);
  if (tell(soap, "deleteInscription", soap->error ? "" : removed.status->code))
    return 1;

  soap_destroy(soap);
  soap_end(soap);
  soap_free(soap);
  X509_free(certificate);
  EVP_PKEY_free(private_key);
  return 0;
}
