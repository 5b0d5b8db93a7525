<?php
// CBSSInscription with PHP's SoapClient: php_client.php SANDBOX_DIRECTORY
//
// Inserts, consults and deletes as the demo application pcsa-web. Needs PHP 8 with its extensions soap, dom and openssl
// (apt-get install php-cli php-soap php-xml).

declare(strict_types=1);

const OASIS = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-';
const WSSE = OASIS . 'wssecurity-secext-1.0.xsd';
const WSU = OASIS . 'wssecurity-utility-1.0.xsd';
const DS = 'http://www.w3.org/2000/09/xmldsig#';
const SOAP = 'http://schemas.xmlsoap.org/soap/envelope/';
const EXC_C14N = 'http://www.w3.org/2001/10/xml-exc-c14n#';
const RSA_SHA256 = 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256';
const SHA256 = 'http://www.w3.org/2001/04/xmlenc#sha256';
const X509_V3 = OASIS . 'x509-token-profile-1.0#X509v3';
const BASE64 = OASIS . 'soap-message-security-1.0#Base64Binary';
const LIFETIME_SECONDS = 60;

/** A SoapClient that signs token, Timestamp and Body of every request. This is the part to copy. */
class SignedSoapClient extends SoapClient
{
    private string $token;

    public function __construct(string $wsdl, array $options, string $certificate, private OpenSSLAsymmetricKey $key)
    {
        parent::__construct($wsdl, $options);
        openssl_x509_export($certificate, $own); // the first certificate of the file, and no other
        $this->token = preg_replace('/-----[A-Z ]+-----|\s/', '', $own);
    }

    public function __doRequest(string $request, string $location, string $action, int $version, bool $oneWay = false): ?string
    {
        return parent::__doRequest($this->sign($request), $location, $action, $version, $oneWay);
    }

    private function sign(string $request): string
    {
        $envelope = new DOMDocument();
        $envelope->loadXML($request);
        $body = $envelope->getElementsByTagNameNS(SOAP, 'Body')->item(0);
        $header = $envelope->getElementsByTagNameNS(SOAP, 'Header')->item(0)
            ?? $body->parentNode->insertBefore($envelope->createElementNS(SOAP, $body->prefix . ':Header'), $body);
        $security = self::add($header, WSSE, 'wsse:Security');
        $security->setAttributeNS(SOAP, $body->prefix . ':mustUnderstand', '1');

        $token = self::add($security, WSSE, 'wsse:BinarySecurityToken', $this->token);
        $token->setAttribute('EncodingType', BASE64);
        $token->setAttribute('ValueType', X509_V3);
        $timestamp = self::add($security, WSU, 'wsu:Timestamp');
        self::add($timestamp, WSU, 'wsu:Created', gmdate('Y-m-d\TH:i:s\Z'));
        self::add($timestamp, WSU, 'wsu:Expires', gmdate('Y-m-d\TH:i:s\Z', time() + LIFETIME_SECONDS));

        $signature = self::add($security, DS, 'ds:Signature');
        $signedInfo = self::add($signature, DS, 'ds:SignedInfo');
        self::add($signedInfo, DS, 'ds:CanonicalizationMethod')->setAttribute('Algorithm', EXC_C14N);
        self::add($signedInfo, DS, 'ds:SignatureMethod')->setAttribute('Algorithm', RSA_SHA256);
        foreach ([$token, $timestamp, $body] as $part) {
            $id = 'id-' . bin2hex(random_bytes(16));
            $part->setAttributeNS(WSU, 'wsu:Id', $id);
            $reference = self::add($signedInfo, DS, 'ds:Reference');
            $reference->setAttribute('URI', "#$id");
            $transforms = self::add($reference, DS, 'ds:Transforms');
            self::add($transforms, DS, 'ds:Transform')->setAttribute('Algorithm', EXC_C14N);
            self::add($reference, DS, 'ds:DigestMethod')->setAttribute('Algorithm', SHA256);
            $digest = hash('sha256', $part->C14N(exclusive: true), binary: true);
            self::add($reference, DS, 'ds:DigestValue', base64_encode($digest));
        }
        openssl_sign($signedInfo->C14N(exclusive: true), $value, $this->key, OPENSSL_ALGO_SHA256);
        self::add($signature, DS, 'ds:SignatureValue', base64_encode($value));
        $keyInfo = self::add($signature, DS, 'ds:KeyInfo');
        $direct = self::add(self::add($keyInfo, WSSE, 'wsse:SecurityTokenReference'), WSSE, 'wsse:Reference');
        $direct->setAttribute('URI', '#' . $token->getAttributeNS(WSU, 'Id'));
        $direct->setAttribute('ValueType', X509_V3);
        return $envelope->saveXML(); // as it stands: formatted, it would no longer be what was signed
    }

    private static function add(DOMElement $parent, string $namespace, string $name, string $text = ''): DOMElement
    {
        $child = $parent->ownerDocument->createElementNS($namespace, $name);
        $child->appendChild($parent->ownerDocument->createTextNode($text));
        $parent->appendChild($child);
        return $child;
    }
}

// --- the demonstration -----------------------------------------------------------------------------------------------

const SSIN = '81121844355'; // synthetic: the sandbox's person `nr_active`
const CONTEXT = 'PCSA:DEBT_MEDIATION';
const FIRST_HALF = ['beginDate' => '2026-01-01', 'endDate' => '2026-06-30'];

[, $directory] = $argv;
preg_match('/^url = "(.*)"$/m', file_get_contents("$directory/pcsa-web.toml"), $found);
$options = [
    'location' => $found[1],
    'stream_context' => stream_context_create(['ssl' => ['cafile' => "$directory/pki/tls-ca.crt.pem"]]),
    'cache_wsdl' => WSDL_CACHE_NONE,
];
$certificate = file_get_contents("$directory/pki/pcsa-web.crt.pem");
$key = openssl_pkey_get_private(file_get_contents("$directory/pki/pcsa-web.key.pem"));
$client = new SignedSoapClient("$found[1]?singleWsdl", $options, $certificate, $key);
$header = [
    'informationCustomer' => ['customerIdentification' => ['sector' => 17, 'institution' => 1]],
    'legalContext' => 'PCSA:SOCIAL_INQUIRY',
];
$calls = [
    'insertInscription' => ['declaration' => ['ssin' => SSIN, 'inscription' => ['inscriptionContext' => CONTEXT, 'period' => FIRST_HALF]]],
    'consultInscriptions' => ['criteria' => ['ssin' => SSIN, 'inscriptionContext' => CONTEXT]],
    'deleteInscription' => ['declaration' => ['ssin' => SSIN, 'inscriptionContext' => CONTEXT]],
];
try {
    foreach ($calls as $operation => $content) {
        $reply = $client->__soapCall($operation, [$header + $content]);
        echo "$operation {$reply->status->value} {$reply->status->code}\n";
    }
} catch (SoapFault $fault) { // the message could not be processed; a business refusal is a reply
    echo "$fault->faultstring\n";
    exit(1);
}
