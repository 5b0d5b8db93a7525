"""Every namespace and qualified name that the program reads or writes, once.

Marks: [A] published by the owner, [C] reconstructed by the owner's convention, [D] ours (contract.md section 1). The
true names of CBSSInscription and InscriptionService are not public: whoever learns them changes them here and in
`contract/wsdl`, and nowhere else. What a service is called that only a façade asks is for its `client.dialect` to know.
"""

from __future__ import annotations

from typing import Final

# SOAP 1.1 and what travels in its header
SOAP11: Final = "http://schemas.xmlsoap.org/soap/envelope/"
WSSE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
DS: Final = "http://www.w3.org/2000/09/xmldsig#"
EXC_C14N: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
RSA_SHA256: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
SHA256: Final = "http://www.w3.org/2001/04/xmlenc#sha256"
X509_V3: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3"
BASE64_BINARY: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
XML: Final = "http://www.w3.org/XML/1998/namespace"
XSD: Final = "http://www.w3.org/2001/XMLSchema"

# descriptions
WSDL: Final = "http://schemas.xmlsoap.org/wsdl/"
WSDL_SOAP: Final = "http://schemas.xmlsoap.org/wsdl/soap/"
WSP: Final = "http://schemas.xmlsoap.org/ws/2004/09/policy"
SP: Final = "http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702"

# the contract
FACADE: Final = "http://socialsecurity.be/cbssinscription/v1"  # [C]
ERRORS: Final = "http://socialsecurity.be/errors/v1"  # [A]
MONITORING: Final = "http://services.fgov.be/monitoring/v1"  # [A]
KSZ: Final = "http://kszbcss.fgov.be/intf/InscriptionService/v1"  # [C]
FACADE_ACTION: Final = "http://socialsecurity.be/cbssinscription/v1/"  # [C] followed by the operation
KSZ_ACTION: Final = "http://kszbcss.fgov.be/InscriptionService/"  # [C] without version, followed by the operation
FACADE_PATH: Final = "/CBSSInscription/v1"  # [C]
KSZ_PATH: Final = "/InscriptionService/v1/inscription"  # [C]
MUTATIONS: Final = "urn:cbss-inscription:mutations:v1"  # [D] nothing of the owners has this operation
MUTATIONS_ACTION: Final = "urn:cbss-inscription:mutations:v1/"  # [D] followed by the operation
MUTATIONS_PATH: Final = "/InscriptionMutations/v1"  # [D]
BATCH: Final = "http://kszbcss.fgov.be/intf/InscriptionService/batch/v1"  # [C]
BATCH_MANIFEST: Final = "urn:cbss-inscription:batch-manifest:v1"  # [D] how a file is signed is said nowhere
BATCH_PATH: Final = "/InscriptionBatch/v1"  # [D]
PERSON: Final = "http://kszbcss.fgov.be/intf/PersonService/v1"  # [C]
PERSON_ACTION: Final = "http://kszbcss.fgov.be/PersonService/"  # [C] without version, followed by the operation
PERSON_PATH: Final = "/PersonService/v1/person"  # [C]
ANSWER_WITHIN: Final = "CBSS-Answer-Within"
"""[D] The HTTP header in which a caller says after how many milliseconds it waits no more."""
SEND_TEST_MESSAGE: Final = "sendTestMessage"  # [A] KSZ's TestConnectionService; the façade has healthCheck instead


def qname(namespace: str, local_name: str) -> str:
    """The name in Clark notation, `{namespace}local_name`, as lxml spells it."""
    return f"{{{namespace}}}{local_name}"


SOAP_ENVELOPE: Final = qname(SOAP11, "Envelope")
SOAP_HEADER: Final = qname(SOAP11, "Header")
SOAP_BODY: Final = qname(SOAP11, "Body")
SOAP_FAULT: Final = qname(SOAP11, "Fault")
SOAP_MUST_UNDERSTAND: Final = qname(SOAP11, "mustUnderstand")
SOAP_ACTOR: Final = qname(SOAP11, "actor")
WSSE_SECURITY: Final = qname(WSSE, "Security")
WSSE_TOKEN: Final = qname(WSSE, "BinarySecurityToken")
WSSE_TOKEN_REFERENCE: Final = qname(WSSE, "SecurityTokenReference")
WSSE_REFERENCE: Final = qname(WSSE, "Reference")
WSU_TIMESTAMP: Final = qname(WSU, "Timestamp")
WSU_CREATED: Final = qname(WSU, "Created")
WSU_EXPIRES: Final = qname(WSU, "Expires")
WSU_ID: Final = qname(WSU, "Id")
DS_SIGNATURE: Final = qname(DS, "Signature")
DS_SIGNED_INFO: Final = qname(DS, "SignedInfo")
DS_SIGNATURE_VALUE: Final = qname(DS, "SignatureValue")
DS_KEY_INFO: Final = qname(DS, "KeyInfo")
DS_CANONICALIZATION_METHOD: Final = qname(DS, "CanonicalizationMethod")
DS_SIGNATURE_METHOD: Final = qname(DS, "SignatureMethod")
DS_REFERENCE: Final = qname(DS, "Reference")
DS_TRANSFORMS: Final = qname(DS, "Transforms")
DS_TRANSFORM: Final = qname(DS, "Transform")
DS_DIGEST_METHOD: Final = qname(DS, "DigestMethod")
DS_DIGEST_VALUE: Final = qname(DS, "DigestValue")
EXC_INCLUSIVE_NAMESPACES: Final = qname(EXC_C14N, "InclusiveNamespaces")
SYSTEM_ERROR: Final = qname(ERRORS, "SystemError")
BUSINESS_ERROR: Final = qname(ERRORS, "BusinessError")

# message security: what the gate must know by name beyond the RSZ profile, to refuse or to pass it on
XENC: Final = "http://www.w3.org/2001/04/xmlenc#"
XENC11: Final = "http://www.w3.org/2009/xmlenc11#"
XOP: Final = "http://www.w3.org/2004/08/xop/include"
WSA: Final = "http://www.w3.org/2005/08/addressing"
WSA_2004: Final = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
SOAP_ACTOR_NEXT: Final = "http://schemas.xmlsoap.org/soap/actor/next"
SOAP_ENCODING_STYLE: Final = qname(SOAP11, "encodingStyle")
RSA_SHA384: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384"
RSA_SHA512: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"
ECDSA_SHA256: Final = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
ECDSA_SHA384: Final = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"

# root elements of the contract
HEALTH_CHECK_REQUEST: Final = qname(MONITORING, "HealthCheckRequest")
HEALTH_CHECK_RESPONSE: Final = qname(MONITORING, "HealthCheckResponse")
BATCH_REQUEST: Final = qname(BATCH, "inscriptionBatchRequest")
BATCH_RESPONSE: Final = qname(BATCH, "inscriptionBatchResponse")
BATCH_FILE_MANIFEST: Final = qname(BATCH_MANIFEST, "inscriptionBatchManifest")
