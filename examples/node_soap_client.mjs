// CBSSInscription with Node's `soap`: node_soap_client.mjs SANDBOX_DIRECTORY
//
// Inserts, consults and deletes as the demo application pcsa-web. Needs Node 20 or later, and `npm install soap@1` in the
// folder that this file is copied to.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import https from "node:https";
import soap from "soap";

const WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const EXC_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#";
const RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
const LIFETIME_SECONDS = 60;

/** What signs one request: token, Timestamp and Body. Made anew for each call, as its Timestamp is. This is the part to copy. */
export function signedRequest(privateKey, certificate) {
  const now = Date.now();
  const [created, expires] = [now, now + LIFETIME_SECONDS * 1000].map((moment) => new Date(moment).toISOString());
  return new soap.WSSecurityCert(privateKey, certificate, "", {
    hasTimeStamp: false, // its own lives ten minutes, and five are allowed
    appendElement:
      `<wsu:Timestamp xmlns:wsu="${WSU}" wsu:Id="Timestamp-${randomUUID()}">` +
      `<wsu:Created>${created}</wsu:Created><wsu:Expires>${expires}</wsu:Expires></wsu:Timestamp>`,
    signatureAlgorithm: RSA_SHA256,
    signatureTransformations: [EXC_C14N], // its own begin with enveloped-signature
    additionalReferences: ["wsse:BinarySecurityToken", "wsu:Timestamp"], // the Body is signed anyhow
    signerOptions: { idMode: "wssecurity" },
  });
}

/** The first certificate of a PEM file: `soap` would put all of them into the token. */
export function firstCertificate(pem) {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/)[0];
}

// --- the demonstration -----------------------------------------------------------------------------------------------

const SSIN = "81121844355"; // synthetic: the sandbox's person `nr_active`
const CONTEXT = "PCSA:DEBT_MEDIATION";
const FIRST_HALF = { beginDate: "2026-01-01", endDate: "2026-06-30" };

async function main(directory) {
  const url = readFileSync(join(directory, "pcsa-web.toml"), "utf8").match(/^url = "(.*)"$/m)[1];
  const httpsAgent = new https.Agent({ ca: readFileSync(join(directory, "pki/tls-ca.crt.pem")) });
  const privateKey = readFileSync(join(directory, "pki/pcsa-web.key.pem"), "utf8");
  const certificate = firstCertificate(readFileSync(join(directory, "pki/pcsa-web.crt.pem"), "utf8"));
  const client = await soap.createClientAsync(`${url}?wsdl`, { wsdl_options: { httpsAgent }, httpsAgent });

  const call = async (operation, content) => {
    client.setSecurity(signedRequest(privateKey, certificate));
    const customer = { customerIdentification: { sector: 17, institution: 1 } };
    const request = { informationCustomer: customer, legalContext: "PCSA:SOCIAL_INQUIRY", ...content };
    const [reply] = await client[`${operation}Async`](request, { httpsAgent });
    console.log(operation, reply.status.value, reply.status.code);
  };
  const inscription = { inscriptionContext: CONTEXT, period: FIRST_HALF };
  await call("insertInscription", { declaration: { ssin: SSIN, inscription } });
  await call("consultInscriptions", { criteria: { ssin: SSIN, inscriptionContext: [CONTEXT] } });
  await call("deleteInscription", { declaration: { ssin: SSIN, inscriptionContext: CONTEXT } });
}

try {
  await main(process.argv[2]);
} catch (error) {
  console.log(error.root?.Envelope?.Body?.Fault?.faultstring ?? error); // a fault: the message could not be processed
  process.exitCode = 1;
}
