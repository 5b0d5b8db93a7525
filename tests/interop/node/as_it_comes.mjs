// A request signed by Node's `soap` with the options given, and nothing of examples/node_soap_client.mjs:
// as_it_comes.mjs SANDBOX_DIRECTORY REQUEST OPTIONS, the options as JSON; prints the message.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import soap from "soap";

const [directory, request, options] = process.argv.slice(2);
const privateKey = readFileSync(join(directory, "pki/pcsa-web.key.pem"), "utf8");
const [certificate] = readFileSync(join(directory, "pki/pcsa-web.crt.pem"), "utf8").split(/(?<=-----END CERTIFICATE-----)/);
const envelope = readFileSync(request, "utf8").replace("<soapenv:Header/>", "<soapenv:Header></soapenv:Header>");
console.log(new soap.WSSecurityCert(privateKey, certificate, "", JSON.parse(options)).postProcess(envelope, "soapenv"));
