// A request signed by WSS4J 1.6 as a handler, by the options that docs/ws-security.md gives and nothing else:
// Wss4jHandler.java SANDBOX_DIRECTORY REQUEST SIGNATURE_PARTS; prints the message.

import java.io.StringReader;
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
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.CallbackHandler;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.transform.TransformerFactory;
import javax.xml.transform.dom.DOMSource;
import javax.xml.transform.stream.StreamResult;
import org.apache.ws.security.WSPasswordCallback;
import org.apache.ws.security.WSSConfig;
import org.apache.ws.security.components.crypto.Merlin;
import org.apache.ws.security.handler.RequestData;
import org.apache.ws.security.handler.WSHandler;
import org.apache.ws.security.util.WSSecurityUtil;
import org.w3c.dom.Document;
import org.xml.sax.InputSource;

public class Wss4jHandler extends WSHandler {
    private static final String USER = "application";
    private static final String PASSWORD = "in memory only";

    private final Map<String, Object> options = new HashMap<>();

    public static void main(String[] arguments) throws Exception {
        Path directory = Path.of(arguments[0]);
        DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
        factory.setNamespaceAware(true);
        InputSource request = new InputSource(new StringReader(Files.readString(Path.of(arguments[1]))));
        Document envelope = factory.newDocumentBuilder().parse(request);
        Wss4jHandler handler = new Wss4jHandler(readKeys(directory.resolve("pki")), arguments[2]);
        handler.sign(envelope);
        TransformerFactory.newInstance().newTransformer().transform(new DOMSource(envelope), new StreamResult(System.out));
    }

    private Wss4jHandler(KeyStore keys, String signatureParts) {
        Merlin crypto = new Merlin();
        crypto.setKeyStore(keys);
        options.put("signatureKeyIdentifier", "DirectReference");
        options.put("signatureAlgorithm", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256");
        options.put("signatureDigestAlgorithm", "http://www.w3.org/2001/04/xmlenc#sha256");
        options.put("timeToLive", "60");
        options.put("signatureParts", signatureParts);
        options.put("signatureUser", USER);
        options.put("signaturePropRefId", "crypto");
        options.put("crypto", crypto);
        CallbackHandler passwords = callbacks -> {
            for (Callback callback : callbacks) {
                ((WSPasswordCallback) callback).setPassword(PASSWORD);
            }
        };
        options.put("passwordCallbackRef", passwords);
    }

    private void sign(Document envelope) throws Exception {
        RequestData data = new RequestData();
        data.setWssConfig(WSSConfig.getNewInstance());
        data.setMsgContext(options);
        data.setUsername(USER);
        List<Integer> actions = new ArrayList<>();
        int action = WSSecurityUtil.decodeAction("Timestamp Signature", actions);
        doSenderAction(action, envelope, data, actions, true);
    }

    private static KeyStore readKeys(Path pki) throws Exception {
        String pem = Files.readString(pki.resolve("pcsa-web.key.pem")).replaceAll("-----[A-Z ]+-----", "");
        PKCS8EncodedKeySpec encoded = new PKCS8EncodedKeySpec(Base64.getMimeDecoder().decode(pem));
        PrivateKey key = KeyFactory.getInstance("RSA").generatePrivate(encoded);
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        Certificate own = factory.generateCertificate(Files.newInputStream(pki.resolve("pcsa-web.crt.pem")));
        KeyStore keys = KeyStore.getInstance("PKCS12");
        keys.load(null, null);
        keys.setKeyEntry(USER, key, PASSWORD.toCharArray(), new Certificate[] {own});
        return keys;
    }

    // What a handler's surroundings would give it: options and properties are one map here.

    @Override
    public Object getOption(String key) {
        return options.get(key);
    }

    @Override
    public Object getProperty(Object context, String key) {
        return options.get(key);
    }

    @Override
    public void setProperty(Object context, String key, Object value) {
        options.put(key, value);
    }

    @Override
    public String getPassword(Object context) {
        return PASSWORD;
    }

    @Override
    public void setPassword(Object context, String password) {
        throw new UnsupportedOperationException();
    }
}
