#!/bin/sh
# A request signed by the xmlsec1 program from a template, and sent by curl.
#
#   xmlsec1_template.sh SANDBOX_DIRECTORY [REQUEST]        prints the reply; REQUEST is consult.xml by default
#   xmlsec1_template.sh SANDBOX_DIRECTORY REQUEST SIGNED   writes the signed message to the file SIGNED, sends nothing
#
# REQUEST is a SOAP 1.1 envelope with an empty <soapenv:Header/> and a <soapenv:Body> without attributes, such as
# those in this folder. Needs sh, sed, openssl, date (GNU), xmlsec1 (apt-get install xmlsec1) and curl.
set -eu

here=$(dirname "$0")
directory=${1:?SANDBOX_DIRECTORY is missing}
request=${2:-$here/consult.xml}
certificate=$directory/pki/pcsa-web.crt.pem
private_key=$directory/pki/pcsa-web.key.pem
url=$(sed -n 's/^url = "\(.*\)"$/\1/p' "$directory/pcsa-web.toml")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# 1. The template: token and timestamp complete, digests and signature empty for xmlsec1 to fill in.
oasis=http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-
token=$(openssl x509 -in "$certificate" -outform DER | openssl base64 -A)
created=$(date -u +%Y-%m-%dT%H:%M:%SZ)
expires=$(date -u -d '+60 seconds' +%Y-%m-%dT%H:%M:%SZ)
id=$(openssl rand -hex 16) # without it, the same request twice in a second would be one message, and its replay

reference() {
  printf '<ds:Reference URI="#%s"><ds:Transforms>' "$1"
  printf '<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></ds:Transforms>'
  printf '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue/></ds:Reference>'
}

cat > "$work/header.xml" <<XML
<soapenv:Header>
<wsse:Security soapenv:mustUnderstand="1" xmlns:wsse="${oasis}wssecurity-secext-1.0.xsd" xmlns:wsu="${oasis}wssecurity-utility-1.0.xsd">
<wsse:BinarySecurityToken wsu:Id="Token-$id" EncodingType="${oasis}soap-message-security-1.0#Base64Binary" ValueType="${oasis}x509-token-profile-1.0#X509v3">$token</wsse:BinarySecurityToken>
<wsu:Timestamp wsu:Id="Timestamp-$id"><wsu:Created>$created</wsu:Created><wsu:Expires>$expires</wsu:Expires></wsu:Timestamp>
<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#">
<ds:SignedInfo>
<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>
<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>
$(reference Token-$id)
$(reference Timestamp-$id)
$(reference Body-$id)
</ds:SignedInfo>
<ds:SignatureValue/>
<ds:KeyInfo><wsse:SecurityTokenReference><wsse:Reference URI="#Token-$id" ValueType="${oasis}x509-token-profile-1.0#X509v3"/></wsse:SecurityTokenReference></ds:KeyInfo>
</ds:Signature>
</wsse:Security>
</soapenv:Header>
XML

sed -e "/<soapenv:Header\/>/{
r $work/header.xml
d
}" -e "s|<soapenv:Body>|<soapenv:Body wsu:Id=\"Body-$id\" xmlns:wsu=\"${oasis}wssecurity-utility-1.0.xsd\">|" \
  "$request" > "$work/template.xml"

# 2. The signature. xmlsec1 must be told which attributes are ids; the key is not found by KeyInfo but named here,
#    which xmlsec1 from version 1.3 on only does when it may search laxly.
lax=
if xmlsec1 --help-sign 2>&1 | grep -q -e '--lax-key-search'; then lax=--lax-key-search; fi
# shellcheck disable=SC2086  # no option when empty
xmlsec1 --sign $lax --privkey-pem "$private_key" --output "$work/signed.xml" \
  --id-attr:Id "${oasis}wssecurity-secext-1.0.xsd:BinarySecurityToken" \
  --id-attr:Id "${oasis}wssecurity-utility-1.0.xsd:Timestamp" \
  --id-attr:Id http://schemas.xmlsoap.org/soap/envelope/:Body \
  "$work/template.xml"

if [ $# -ge 3 ]; then
  cp "$work/signed.xml" "$3"
  exit
fi

# 3. The call. A fault comes with HTTP status 500, and is printed like any reply.
curl --silent --show-error --cacert "$directory/pki/tls-ca.crt.pem" \
  --header 'Content-Type: text/xml; charset=utf-8' --data-binary "@$work/signed.xml" "$url"
