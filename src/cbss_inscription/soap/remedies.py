"""For every reason in the service's log, one sentence on what the sender changes (SEC-88).

A test enumerates the reasons that the stations raise and fails on one without a sentence, or a sentence without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ACCEPTED: Final = "Nothing needs to change: all that was checked here is in order."

_EXACT = "Sign the request anew, after its last change, and send the bytes as they were signed"

REMEDIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        # XML
        "size": "Make the message smaller than the service's limit in bytes.",
        "encoding": "Send UTF-8, or UTF-16 with a byte order mark, and let Content-Type and declaration say the same.",
        "xml-version": "Declare XML version 1.0.",
        "not-well-formed": "Send well-formed XML, with nothing before the declaration and nothing after the Envelope.",
        "doctype": "Remove the DOCTYPE.",
        "processing-instruction": "Remove every processing instruction, the XML declaration apart.",
        "comments": "Remove comments; there are far too many.",
        "depth": "Nest elements less deeply.",
        "elements": "Send fewer elements in one message.",
        "attributes": "Use fewer attributes, on one element and in the message.",
        "namespaces": "Declare fewer namespaces, on one element and in the message.",
        "name-length": "Use shorter names and prefixes.",
        "value-length": "Use shorter attribute values and namespace URIs.",
        "text-length": "Send shorter texts.",
        # SOAP
        "envelope-namespace": "Use SOAP 1.1: the Envelope's namespace is http://schemas.xmlsoap.org/soap/envelope/.",
        "root": "Send a SOAP 1.1 Envelope as the root element.",
        "envelope-children": "Put one Header and then one Body into the Envelope, and nothing after them.",
        "envelope-text": "Remove the text between Header and Body.",
        "header-text": "Remove the text between the header blocks.",
        "body-missing": "Add a soapenv:Body as a child of the Envelope.",
        "body-children": "Put exactly one element into the Body.",
        "body-text": "Remove the text beside the Body's element.",
        "body-unqualified": "Give the Body's element the namespace of the contract.",
        "encoding-style": "Remove soapenv:encodingStyle: the service is document/literal.",
        "header-blocks": "Send fewer header blocks.",
        "header-unqualified": "Give every header block a namespace.",
        "must-understand-value": "Write mustUnderstand as 0 or 1.",
        "header-not-understood": 'Remove mustUnderstand="1" from the header block that is unknown here, or the block.',
        "addressing-repeated": "Send each WS-Addressing header once.",
        "addressing-redirection": "Make ReplyTo and FaultTo anonymous, or leave them out.",
        "addressing-text": "Send a short text without elements in wsa:To, wsa:Action and wsa:MessageID.",
        "addressing-to": "Write the service's own address in wsa:To, or the anonymous one, or leave the header out.",
        "comment": "Remove comments from the Security header and the Body before signing.",
        "xop": "Send the content in the message: switch MTOM and attachments off.",
        "encryption": "Switch encryption off: TLS keeps the message secret, and the policy asks for a signature only.",
        # the Security header
        "security-missing": "Add one wsse:Security header without actor and sign the request.",
        "security-unasked": "Leave the wsse:Security header out: this service knows you by your connection.",
        "client-certificate-missing": "Show your application's certificate in the TLS handshake.",
        "client-certificate-size": "Show a certificate of usual size in the TLS handshake.",
        "client-certificate-malformed": "Tell the service's operator: the certificate comes unreadable.",
        "client-certificate-other": "Show the certificate of the application that signs, in the TLS handshake.",
        "network-missing": "Call the service at its own address: it cannot tell where the connection comes from.",
        "network-malformed": "Tell the service's operator: what ends TLS hands over no address that can be read.",
        "network-unknown": "Call from the network that was agreed on with the service's operator.",
        "security-repeated": "Send one wsse:Security header for this service, not two.",
        "security-grammar": "Put exactly one BinarySecurityToken, one Timestamp and one Signature into wsse:Security.",
        "id-syntax": "Make ids of ASCII letters, digits, dots, hyphens, underscores, a letter first, at most 128.",
        "id-repeated": "Give every element an id of its own.",
        "token-grammar": "Give the BinarySecurityToken wsu:Id, EncodingType and ValueType, and text only.",
        "token-type": "Send the certificate as a token of ValueType #X509v3 and EncodingType #Base64Binary.",
        "token-size": "Send one certificate in the token, not a chain.",
        "token-base64": "Write the token as the base64 of the certificate's DER, without PEM lines.",
        "timestamp-grammar": "Give the Timestamp a wsu:Id and just wsu:Created and wsu:Expires, in this order.",
        "timestamp-syntax": "Write Created and Expires in UTC with Z, such as 2026-03-01T09:20:31Z.",
        "signature-grammar": "Keep the Signature to the elements and attributes in docs/ws-security.md.",
        "signature-base64": "Write the SignatureValue as plain base64.",
        "canonicalization-algorithm": "Set the CanonicalizationMethod to exclusive C14N without comments.",
        "algorithm": "Set the signature algorithm to http://www.w3.org/2001/04/xmldsig-more#rsa-sha256.",
        "reference-count": "Sign exactly three parts: the BinarySecurityToken, the Timestamp and the Body.",
        "reference-target": "Let the three references name the token, the Timestamp and the Body of this message.",
        "reference-grammar": "Give each Reference one Transforms, one DigestMethod, one DigestValue and nothing more.",
        "reference-uri": "Refer to each part by # and its wsu:Id.",
        "transform-count": "Use exactly one Transform in each Reference.",
        "transform-algorithm": "Set the Transform of each Reference to exclusive C14N without comments.",
        "digest-algorithm": "Set the digest method of each Reference to http://www.w3.org/2001/04/xmlenc#sha256.",
        "digest-base64": "Write each DigestValue as plain base64.",
        "digest-length": "Write a SHA-256 digest, 32 bytes, into each DigestValue.",
        "prefix-list-size": "Use fewer prefixes in InclusiveNamespaces, or none.",
        "prefix-list-syntax": "Put only prefixes and #default into the PrefixList.",
        "key-info": "Let KeyInfo hold one SecurityTokenReference with one direct wsse:Reference to the token.",
        "key-info-value-type": "Give the wsse:Reference in KeyInfo the ValueType #X509v3.",
        "key-info-target": "Let the wsse:Reference in KeyInfo name the wsu:Id of the BinarySecurityToken.",
        # the certificate
        "certificate-malformed": "Send the DER of exactly one X.509 certificate in the token.",
        "certificate-version": "Use an X.509 certificate of version 3.",
        "certificate-untrusted": "Use a certificate from an application authority of this environment.",
        "certificate-algorithm": "Have the certificate issued anew, signed with SHA-256 or stronger.",
        "certificate-extension": "Have the certificate issued anew without the extension that is not understood.",
        "certificate-authority": "Sign with an application's certificate, not with an authority's.",
        "certificate-key-usage": "Use a certificate whose KeyUsage has digitalSignature and no certificate signing.",
        "certificate-extended-key-usage": "Use a certificate without ExtendedKeyUsage, or with clientAuth in it.",
        "certificate-key": "Use a certificate with an RSA key, or with one on a curve that the service accepts.",
        "certificate-key-size": "Use an RSA key of at least 2048 bits, and not of a monstrous size.",
        "certificate-key-exponent": "Use an RSA key with the exponent 65537.",
        "certificate-not-yet-valid": "Wait until the certificate is valid, or use the one before it.",
        "certificate-expired": "Use a renewed certificate.",
        "authority-not-yet-valid": "Use a certificate whose authority is valid now.",
        "authority-expired": "Use a certificate whose authority is valid now, or have the service learn a renewed one.",
        "certificate-name-constraints": "Use a certificate whose names lie within what its authority may issue.",
        "certificate-revoked": "Use another certificate: this one or its authority is revoked.",
        "revocation-unknown": "Have the service's operator add the revocation list of the certificate's issuer.",
        "revocation-stale": "Have the service's operator renew the revocation list of the certificate's issuer.",
        "certificate-subject": "Use a certificate whose subject has one attribute in each RDN.",
        "certificate-subject-encoding": "Use a certificate whose subject is written as UTF8String or PrintableString.",
        "certificate-subject-text": "Use a certificate whose subject has no empty, padded or invisible text.",
        "certificate-application-urn": "Use a certificate with exactly one CN: the application's URN.",
        "certificate-cbe-number": "Use a certificate with exactly one OU of the CBE number, its check digits right.",
        "certificate-environment": "Use the certificate that was issued for this environment.",
        "certificate-organizational-unit": "Use a certificate with the OU Belgian Federal Government and no others.",
        # time and signature
        "timestamp-order": "Let Expires lie after Created.",
        "timestamp-lifetime": "Let Expires lie at most 300 seconds after Created; 60 are plenty.",
        "timestamp-future": "Set the sender's clock: Created lies too far ahead.",
        "timestamp-expired": "Sign the request just before sending it, with a clock that is right.",
        "timestamp-age": "Sign the request just before sending it: Created is too long ago.",
        "canonicalization": "Use absolute namespace URIs only, so that the signed parts have a canonical form.",
        "signature-value": "Sign the canonical SignedInfo by the algorithm named, with the key of the certificate.",
        "signature-failure": "Sign anew: this is no signature by such a key; one by ECDSA is r and s, and no ASN.1.",
        "algorithm-key": "Name the signature algorithm that fits the key of the certificate: for RSA rsa-sha256.",
        "signature-digest": f"{_EXACT}: a signed part is not what was digested.",
        "replayed": "Sign every request anew, a retry too: the service has answered this one.",
        # the contract
        "operation": "Put a request of this door into the Body, with its name and namespace as in the WSDL.",
        "schema": "Make the request valid against the schema, at the places named above.",
        "markup-in-text": "Remove comments and elements from the texts of the request.",
        "legal-context": "Write the legal context as the permission has it.",
        "cbe-number": "Write the customer's CBE number in ten digits with right check digits.",
        "sector": "Write the customer's sector and institution as the permission has them.",
        "inscription-context": "Write the inscription context as SECTOR:NAME, as the catalogue has it.",
        "incomplete-date": "Write a date that exists, or one whose month and day, or day, are zero.",
        "date": "Write a date that the calendar has, in the years 1 to 9999.",
        "timestamp": "Write a moment that the calendar has, in the years 1 to 9999.",
        "number": "Write the number without leading zeros.",
        "action": "Leave SOAPAction and wsa:Action out, or write those of the operation in the Body.",
        # access
        "no-access-rule": "Ask for an access rule for the URN, CBE number and environment of the certificate.",
        "customer-not-bound": "Name a customer that the certificate's organisation may speak for.",
        "operation-not-permitted": "Ask for a permission that has this operation for this customer.",
    }
)
"""The sentences; a reason that several SOA codes share has one that fits them all."""


def remedy_of(code: str, reason: str) -> str:
    """What to change for a refusal with this reason; for one unknown here, at least the code and the word."""
    return REMEDIES.get(reason) or f"Look up {code} in docs/ws-security.md: the reason is {reason}."
