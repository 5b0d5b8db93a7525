// CBSSInscription with Apache WSS4J 1.6: a request signed and sent; prints the reply.
//
//   J=/usr/share/java
//   java -cp $J/wss4j.jar:$J/xmlsec.jar:$J/commons-logging.jar:$J/slf4j-api.jar:$J/slf4j-nop.jar \
//     examples/Wss4jClient.java .cbss-sandbox examples/consult.xml
//
// The last argument is any SOAP 1.1 envelope such as those in this folder. Needs a JDK 17 and WSS4J 1.6 (on Debian `apt-get
// install default-jdk-headless libwss4j-java`). Options: -DinclusivePrefixes=false leaves InclusiveNamespaces out, as Smals'
// connector does; -DsignatureAlgorithm=http://www.w3.org/2000/09/xmldsig#rsa-sha1 shows what happens without the override.

import java.io.ByteArrayInputStream;
import java.io.StringWriter;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.transform.OutputKeys;
import javax.xml.transform.Transformer;
import javax.xml.transform.TransformerFactory;
import javax.xml.transform.dom.DOMSource;
import javax.xml.transform.stream.StreamResult;
import org.apache.ws.security.WSConstants;
import org.apache.ws.security.WSEncryptionPart;
import org.apache.ws.security.WSSConfig;
import org.apache.ws.security.components.crypto.Merlin;
import org.apache.ws.security.message.WSSecHeader;
import org.apache.ws.security.message.WSSecSignature;
import org.apache.ws.security.message.WSSecTimestamp;
import org.w3c.dom.Document;

public class Wss4jClient {
    private static final String RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
    private static final String ALIAS = "application";
    private static final String PASSWORD = "in memory only";
    private static final int LIFETIME_SECONDS = 60;

    public static void main(String[] arguments) throws Exception {
        Path directory = Path.of(arguments[0]);
        Path request = Path.of(arguments[1]);
        KeyStore keys = readKeys(directory.resolve("pki/pcsa-web.crt.pem"), directory.resolve("pki/pcsa-web.key.pem"));
        String signed = sign(Files.readAllBytes(request), keys);
        Matcher url = Pattern.compile("(?m)^url = \"(.*)\"$").matcher(Files.readString(directory.resolve("pcsa-web.toml")));
        if (!url.find()) {
            throw new IllegalArgumentException("pcsa-web.toml has no url");
        }
        System.out.println(send(URI.create(url.group(1)), directory.resolve("pki/tls-ca.crt.pem"), signed));
    }

    /** The request with a Security header: token, Timestamp and Body signed. This is the part to copy. */
    private static String sign(byte[] request, KeyStore keys) throws Exception {
        DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
        factory.setNamespaceAware(true);
        Document envelope = factory.newDocumentBuilder().parse(new ByteArrayInputStream(request));
        Merlin crypto = new Merlin();
        crypto.setKeyStore(keys);

        WSSConfig config = WSSConfig.getNewInstance();
        config.setWsiBSPCompliant(!"false".equals(System.getProperty("inclusivePrefixes"))); // InclusiveNamespaces or not
        WSSecHeader header = new WSSecHeader();
        header.insertSecurityHeader(envelope);
        WSSecTimestamp timestamp = new WSSecTimestamp(config);
        timestamp.setTimeToLive(LIFETIME_SECONDS); // its default, 300, is the most that is allowed
        timestamp.build(envelope, header);

        WSSecSignature signature = new WSSecSignature(config);
        signature.setUserInfo(ALIAS, PASSWORD);
        signature.setKeyIdentifierType(WSConstants.BST_DIRECT_REFERENCE); // the default is an IssuerSerial
        signature.setUseSingleCertificate(true); // else the token would be a PKIPath
        signature.setSignatureAlgorithm(System.getProperty("signatureAlgorithm", RSA_SHA256)); // its default: rsa-sha1
        signature.setDigestAlgo(WSConstants.SHA256); // the default is SHA-1
        signature.prepare(envelope, crypto, header);
        signature.prependBSTElementToHeader(header); // before it is signed, and build() would do it after: hence by hand
        List<WSEncryptionPart> parts = new ArrayList<>();
        parts.add(new WSEncryptionPart(signature.getBSTTokenId()));
        parts.add(new WSEncryptionPart(timestamp.getId()));
        parts.add(new WSEncryptionPart("Body", "http://schemas.xmlsoap.org/soap/envelope/", "Element"));
        signature.computeSignature(signature.addReferencesToSign(parts, header));
        return write(envelope);
    }

    /** The document as it stands: no indenting, which would break the signature. */
    private static String write(Document document) throws Exception {
        Transformer transformer = TransformerFactory.newInstance().newTransformer();
        transformer.setOutputProperty(OutputKeys.OMIT_XML_DECLARATION, "yes");
        StringWriter writer = new StringWriter();
        transformer.transform(new DOMSource(document.getDocumentElement()), new StreamResult(writer));
        return writer.toString();
    }

    private static KeyStore readKeys(Path certificate, Path privateKey) throws Exception {
        Certificate own = readCertificates(certificate).get(0);
        String pem = Files.readString(privateKey).replaceAll("-----[A-Z ]+-----", "");
        PKCS8EncodedKeySpec encoded = new PKCS8EncodedKeySpec(Base64.getMimeDecoder().decode(pem));
        PrivateKey key = KeyFactory.getInstance("RSA").generatePrivate(encoded);
        KeyStore keys = KeyStore.getInstance("PKCS12");
        keys.load(null, null);
        keys.setKeyEntry(ALIAS, key, PASSWORD.toCharArray(), new Certificate[] {own});
        return keys;
    }

    private static List<Certificate> readCertificates(Path file) throws Exception {
        byte[] pem = Files.readAllBytes(file);
        return List.copyOf(CertificateFactory.getInstance("X.509").generateCertificates(new ByteArrayInputStream(pem)));
    }

    /** The reply, over TLS that trusts exactly the authorities in the file; a fault comes with status 500. */
    private static String send(URI url, Path authorities, String message) throws Exception {
        KeyStore trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        for (Certificate authority : readCertificates(authorities)) {
            trusted.setCertificateEntry("authority-" + trusted.size(), authority);
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);
        SSLContext tls = SSLContext.getInstance("TLS");
        tls.init(null, trust.getTrustManagers(), null);
        HttpRequest call = HttpRequest.newBuilder(url)
                .header("Content-Type", "text/xml; charset=utf-8")
                .POST(HttpRequest.BodyPublishers.ofString(message, StandardCharsets.UTF_8))
                .build();
        HttpClient client = HttpClient.newBuilder().sslContext(tls).version(HttpClient.Version.HTTP_1_1).build();
        return client.send(call, HttpResponse.BodyHandlers.ofString()).body();
    }
}
