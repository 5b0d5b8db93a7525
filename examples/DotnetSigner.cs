// A CBSSInscription request signed with .NET's SignedXml: DotnetSigner.exe CERTIFICATE_P12 PASSWORD REQUEST SIGNED
//
// REQUEST is a SOAP 1.1 envelope such as those in this folder; SIGNED is written, to be sent as it is. The code is the same
// for .NET Framework 4.7 and later, for .NET with the package System.Security.Cryptography.Xml, and for Mono, by which it is
// tried (apt-get install mono-mcs libmono-system-security4.0-cil libmono-system-core4.0-cil):
//
//   openssl pkcs12 -export -in .cbss-sandbox/pki/pcsa-web.crt.pem -inkey .cbss-sandbox/pki/pcsa-web.key.pem \
//     -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1 -passout pass:sandbox -out pcsa-web.p12
//   mcs -r:System.Security.dll -out:DotnetSigner.exe examples/DotnetSigner.cs
//   mono DotnetSigner.exe pcsa-web.p12 sandbox examples/consult.xml signed.xml
//
// The old algorithms of the first command are what Mono reads; .NET reads any.

using System;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Security.Cryptography.Xml;
using System.Xml;

public static class DotnetSigner
{
    private const string Oasis = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-";
    private const string Wsse = Oasis + "wssecurity-secext-1.0.xsd";
    private const string Wsu = Oasis + "wssecurity-utility-1.0.xsd";
    private const string Soap = "http://schemas.xmlsoap.org/soap/envelope/";
    private const string RsaSha256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
    private const string Sha256 = "http://www.w3.org/2001/04/xmlenc#sha256";
    private const string ExclusiveC14N = "http://www.w3.org/2001/10/xml-exc-c14n#";
    private const string X509V3 = Oasis + "x509-token-profile-1.0#X509v3";
    private const string Base64 = Oasis + "soap-message-security-1.0#Base64Binary";
    private const int LifetimeSeconds = 60;

    public static void Main(string[] arguments)
    {
        var certificate = new X509Certificate2(arguments[0], arguments[1]);
        var envelope = new XmlDocument { PreserveWhitespace = true };
        envelope.Load(arguments[2]);
        Sign(envelope, certificate);
        envelope.Save(arguments[3]); // as it stands: formatted, it would no longer be what was signed
    }

    /// <summary>Adds the Security header: token, Timestamp and Body signed. This is the part to copy.</summary>
    public static void Sign(XmlDocument envelope, X509Certificate2 certificate)
    {
        var names = new XmlNamespaceManager(envelope.NameTable);
        names.AddNamespace("s", Soap);
        var body = (XmlElement)envelope.SelectSingleNode("/s:Envelope/s:Body", names);
        var header = (XmlElement)envelope.SelectSingleNode("/s:Envelope/s:Header", names);
        var security = Add(header, "wsse", "Security", Wsse);
        var mustUnderstand = envelope.CreateAttribute(header.Prefix, "mustUnderstand", Soap);
        mustUnderstand.Value = "1";
        security.SetAttributeNode(mustUnderstand);

        var token = Add(security, "wsse", "BinarySecurityToken", Wsse, Convert.ToBase64String(certificate.RawData));
        token.SetAttribute("EncodingType", Base64);
        token.SetAttribute("ValueType", X509V3);
        var timestamp = Add(security, "wsu", "Timestamp", Wsu);
        var now = DateTime.UtcNow;
        Add(timestamp, "wsu", "Created", Wsu, XmlConvert.ToString(now, "yyyy-MM-ddTHH:mm:ss.fffZ"));
        Add(timestamp, "wsu", "Expires", Wsu, XmlConvert.ToString(now.AddSeconds(LifetimeSeconds), "yyyy-MM-ddTHH:mm:ss.fffZ"));

        var signed = new WsuSignedXml(envelope) { SigningKey = certificate.GetRSAPrivateKey() };
        signed.SignedInfo.CanonicalizationMethod = ExclusiveC14N;
        signed.SignedInfo.SignatureMethod = RsaSha256;
        foreach (var part in new[] { token, timestamp, body })
        {
            var id = envelope.CreateAttribute("wsu", "Id", Wsu);
            id.Value = "id-" + Guid.NewGuid();
            part.SetAttributeNode(id);
            var reference = new Reference("#" + id.Value) { DigestMethod = Sha256 };
            reference.AddTransform(new XmlDsigExcC14NTransform());
            signed.AddReference(reference);
        }
        var tokenReference = envelope.CreateElement("wsse", "SecurityTokenReference", Wsse);
        var direct = Add(tokenReference, "wsse", "Reference", Wsse);
        direct.SetAttribute("URI", "#" + token.GetAttribute("Id", Wsu));
        direct.SetAttribute("ValueType", X509V3);
        signed.KeyInfo.AddClause(new KeyInfoNode(tokenReference));
        signed.ComputeSignature();
        security.AppendChild(envelope.ImportNode(signed.GetXml(), true));
    }

    private static XmlElement Add(XmlElement parent, string prefix, string name, string uri, string text = "")
    {
        var child = parent.OwnerDocument.CreateElement(prefix, name, uri);
        child.AppendChild(parent.OwnerDocument.CreateTextNode(text));
        parent.AppendChild(child);
        return child;
    }

    /// <summary>Finds elements by wsu:Id, which SignedXml alone does not know.</summary>
    private sealed class WsuSignedXml : SignedXml
    {
        public WsuSignedXml(XmlDocument document) : base(document) { }

        public override XmlElement GetIdElement(XmlDocument document, string id)
        {
            var names = new XmlNamespaceManager(document.NameTable);
            names.AddNamespace("wsu", Wsu);
            return (XmlElement)document.SelectSingleNode("//*[@wsu:Id='" + id + "']", names);
        }
    }
}
