"""The one catalogue of outcome codes: what each means, in four languages, and what to do (contract.md section 4).

Replies, faults, documentation, console and client read these entries; no text of an outcome stands anywhere else. The
codes of the `MSG` and `SOA` families are published by KSZ and RSZ [A]; those with the prefix `CBI` are ours [D]. Every
text is our own wording and fixed: no text ever holds a value of a person or of a message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal

LANGUAGES: Final = ("en", "nl", "fr", "de")
"""The languages of every text, the wire's default first (contract.md section 4)."""
TEXT_LENGTH_MAX: Final = 256
"""Characters of a text: CommonV3's `diagnostic` and `description`."""

FaultSide = Literal["Client", "Server"]


class OutcomeCode(StrEnum):
    """Every code that an answer, an anomaly or a fault can carry, spelled as on the wire."""

    SUCCESS = "MSG00000"
    NO_DATA = "MSG00100"
    SSIN_INVALID = "MSG00011"
    SSIN_UNKNOWN = "MSG00005"
    SSIN_REPLACED_REFUSED = "MSG00006"
    CONTENT_INVALID = "MSG00008"
    DECEASED = "MSG00009"
    LEGAL_CONTEXT_NOT_GRANTED = "MSG00013"
    INTERNAL_ERROR = "MSG00003"

    SSIN_CANCELED = "CBI00101"
    SSIN_REPLACED = "CBI00102"
    INSCRIPTION_CONTEXT_NOT_GRANTED = "CBI00201"
    VOLUME_EXCEEDED = "CBI00202"
    LEGAL_DATA_MISMATCH = "CBI00301"
    LEGAL_DATA_NOT_VERIFIABLE = "CBI00302"
    INSCRIPTION_IDENTICAL = "CBI00401"
    INSCRIPTION_MERGED = "CBI00402"
    INSCRIPTION_NOT_FOUND = "CBI00403"
    TICKET_REPEATED = "CBI00404"
    TICKET_REUSED = "CBI00405"
    SOURCE_UNREACHABLE = "CBI00901"

    SERVICE_ERROR = "SOA-00001"
    NOT_AUTHENTICATED = "SOA-01001"
    NOT_AUTHORIZED = "SOA-01002"
    NOT_AVAILABLE = "SOA-02001"
    TEMPORARILY_NOT_AVAILABLE = "SOA-02002"
    MALFORMED_MESSAGE = "SOA-03001"
    NOT_SOAP = "SOA-03002"
    BODY_MISSING = "SOA-03003"
    WSI_COMPLIANCE = "SOA-03004"
    WSDL_COMPLIANCE = "SOA-03005"
    XSD_COMPLIANCE = "SOA-03006"
    CONTENT_VALIDATION = "SOA-03007"


class Severity(StrEnum):
    """How grave an outcome is (CommonV3 SeverityType): FATAL means that the request was not carried out."""

    INFORMATION = "INFORMATION"
    WARNING = "WARNING"
    FATAL = "FATAL"


class Origin(StrEnum):
    """Who speaks: the façade at the door, the inscription service of KSZ, or the authentic source behind it."""

    FACADE = "façade"
    KSZ = "KSZ"
    SOURCE = "source"


class Provenance(StrEnum):
    """Where a code comes from: the marks A, C and D of contract.md."""

    PUBLISHED = "A"
    CONVENTION = "C"
    OURS = "D"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """What is to be known of one code.

    `texts`, `cause` and `remedy` have the four `LANGUAGES` as keys; a text has at most `TEXT_LENGTH_MAX` characters.
    `retryable`: the same message, sent again later, may succeed. `fault_side` is the SOAP faultcode of a code that
    travels in a fault, and None for a code that travels in an ordinary response.
    """

    code: OutcomeCode
    severity: Severity
    origin: Origin
    provenance: Provenance
    texts: Mapping[str, str]
    cause: Mapping[str, str]
    remedy: Mapping[str, str]
    retryable: bool = False
    fault_side: FaultSide | None = None


def _words(*, en: str, nl: str, fr: str, de: str) -> Mapping[str, str]:
    return MappingProxyType({"en": en, "nl": nl, "fr": fr, "de": de})


_NOTHING_TO_DO: Final = _words(
    en="Nothing needs to be done.",
    nl="U hoeft niets te doen.",
    fr="Aucune action n'est requise.",
    de="Es ist nichts zu unternehmen.",
)
_CONTACT_DESK: Final = _words(
    en="Contact the service desk and give the ticket of this answer.",
    nl="Neem contact op met de servicedesk en vermeld het ticket van dit antwoord.",
    fr="Contactez le service desk en mentionnant le ticket de cette réponse.",
    de="Wenden Sie sich an den Service-Desk und geben Sie das Ticket dieser Antwort an.",
)

_ENTRIES: Final = (
    CatalogueEntry(
        code=OutcomeCode.SUCCESS,
        severity=Severity.INFORMATION,
        origin=Origin.KSZ,
        provenance=Provenance.PUBLISHED,
        texts=_words(
            en="The request was carried out successfully.",
            nl="De aanvraag is met succes verwerkt.",
            fr="La demande a été traitée avec succès.",
            de="Die Anfrage wurde erfolgreich verarbeitet.",
        ),
        cause=_words(
            en="The request passed every control.",
            nl="De aanvraag heeft alle controles doorstaan.",
            fr="La demande a satisfait à tous les contrôles.",
            de="Die Anfrage hat alle Kontrollen bestanden.",
        ),
        remedy=_NOTHING_TO_DO,
    ),
    CatalogueEntry(
        code=OutcomeCode.NO_DATA,
        severity=Severity.INFORMATION,
        origin=Origin.KSZ,
        provenance=Provenance.PUBLISHED,
        texts=_words(
            en="Nothing was found.",
            nl="Er is niets gevonden.",
            fr="Rien n'a été trouvé.",
            de="Es wurde nichts gefunden.",
        ),
        cause=_words(
            en="There is nothing that meets the criteria and that you may see.",
            nl="Er is niets dat aan de criteria voldoet en dat u mag zien.",
            fr="Il n'y a rien qui réponde aux critères et que vous puissiez consulter.",
            de="Es gibt nichts, das den Kriterien entspricht und das Sie einsehen dürfen.",
        ),
        remedy=_words(
            en="If you expected something, check the criteria; at the end of a feed, ask again later.",
            nl="Verwachtte u iets, controleer dan de criteria; vraag aan het einde van een feed later opnieuw.",
            fr="Si vous attendiez quelque chose, vérifiez les critères; à la fin d'un flux, redemandez plus tard.",
            de=(
                "Wenn Sie etwas erwartet haben, prüfen Sie die Kriterien; fragen Sie am Ende eines Feeds später noch "
                "einmal."
            ),
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.SSIN_INVALID,
        severity=Severity.FATAL,
        origin=Origin.KSZ,
        provenance=Provenance.PUBLISHED,
        texts=_words(
            en="The SSIN is not valid: its structure or its check digits are wrong.",
            nl="Het INSZ is ongeldig: de structuur of het controlegetal is fout.",
            fr="Le NISS n'est pas valide : sa structure ou son nombre de contrôle est erroné.",
            de="Die ENSS ist ungültig: Ihre Struktur oder ihre Prüfzahl ist falsch.",
        ),
        cause=_words(
            en="The number was mistyped or damaged; no register was asked.",
            nl="Het nummer is verkeerd ingetikt of beschadigd; er is geen register geraadpleegd.",
            fr="Le numéro a été mal saisi ou altéré ; aucun registre n'a été consulté.",
            de="Die Nummer wurde falsch eingegeben oder verfälscht; es wurde kein Register abgefragt.",
        ),
        remedy=_words(
            en="Check the number against a document of the person and send the request again.",
            nl="Vergelijk het nummer met een document van de persoon en verstuur de aanvraag opnieuw.",
            fr="Vérifiez le numéro à l'aide d'un document de la personne et renvoyez la demande.",
            de="Prüfen Sie die Nummer anhand eines Dokuments der Person und senden Sie die Anfrage erneut.",
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.SSIN_UNKNOWN,
        severity=Severity.FATAL,
        origin=Origin.SOURCE,
        provenance=Provenance.PUBLISHED,
        texts=_words(
            en="The SSIN does not exist.",
            nl="Het INSZ bestaat niet.",
            fr="Le NISS n'existe pas.",
            de="Die ENSS existiert nicht.",
        ),
        cause=_words(
            en="Neither the National Register nor the CBSS registers know a person under this number.",
            nl="Noch het Rijksregister, noch de KSZ-registers kennen een persoon onder dit nummer.",
            fr="Ni le Registre national ni les registres BCSS ne connaissent de personne sous ce numéro.",
            de="Weder das Nationalregister noch die ZDSS-Register kennen eine Person unter dieser Nummer.",
        ),
        remedy=_words(
            en="Check the number; if the person has none, ask for a number in the CBSS registers first.",
            nl="Controleer het nummer; heeft de persoon er geen, vraag dan eerst een nummer in de KSZ-registers aan.",
            fr="Vérifiez le numéro ; si la personne n'en a pas, demandez d'abord un numéro dans les registres BCSS.",
            de="Prüfen Sie die Nummer; hat die Person keine, beantragen Sie zuerst eine Nummer in den ZDSS-Registern.",
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.SSIN_REPLACED_REFUSED,
        severity=Severity.FATAL,
        origin=Origin.SOURCE,
        provenance=Provenance.PUBLISHED,
        texts=_words(
            en="The SSIN was replaced by another SSIN and is refused.",
            nl="Het INSZ is vervangen door een ander INSZ en wordt geweigerd.",
            fr="Le NISS a été remplacé par un autre NISS et est refusé.",
            de="Die ENSS wurde durch eine andere ENSS ersetzt und wird abgelehnt.",
        ),
        cause=_words(
            en="The person has another number now, and your permission says that former numbers are refused.",
            nl="De persoon heeft nu een ander nummer en volgens uw toelating worden vroegere nummers geweigerd.",
            fr="La personne a désormais un autre numéro et votre autorisation prévoit le refus des anciens numéros.",
            de="Die Person hat jetzt eine andere Nummer; laut Ihrer Zulassung werden frühere Nummern abgelehnt.",
        ),
        remedy=_words(
            en="Put the new number from the information of this answer into your file and send the request with it.",
            nl=(
                "Neem het nieuwe nummer uit de informatie bij dit antwoord op in uw dossier en verstuur de aanvraag "
                "ermee."
            ),
            fr=(
                "Reprenez dans votre dossier le nouveau numéro communiqué dans cette réponse et renvoyez la demande "
                "avec lui."
            ),
            de="Übernehmen Sie die neue Nummer aus dieser Antwort in Ihre Akte und senden Sie die Anfrage damit.",
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.CONTENT_INVALID,
        severity=Severity.FATAL,
        origin=Origin.KSZ,
        provenance=Provenance.PUBLISHED,
        texts=_words(
            en="The content of the request is not valid.",
            nl="De inhoud van de aanvraag is ongeldig.",
            fr="Le contenu de la demande n'est pas valide.",
            de="Der Inhalt der Anfrage ist ungültig.",
        ),
        cause=_words(
            en="A field breaks a rule or contradicts another field, for example a period that ends before it begins.",
            nl=(
                "Een veld schendt een regel of spreekt een ander veld tegen, bijvoorbeeld een periode die eindigt "
                "voor ze begint."
            ),
            fr=(
                "Un champ enfreint une règle ou en contredit un autre, par exemple une période finissant avant son "
                "début."
            ),
            de=(
                "Ein Feld verletzt eine Regel oder widerspricht einem anderen, etwa ein Zeitraum mit Ende vor dem "
                "Beginn."
            ),
        ),
        remedy=_words(
            en="Correct the field named in the information of this answer and send the request again.",
            nl="Verbeter het veld dat in de informatie bij dit antwoord is vermeld en verstuur de aanvraag opnieuw.",
            fr="Corrigez le champ mentionné dans les informations de cette réponse et renvoyez la demande.",
            de=(
                "Berichtigen Sie das in den Informationen dieser Antwort genannte Feld und senden Sie die Anfrage "
                "erneut."
            ),
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.DECEASED,
        severity=Severity.INFORMATION,
        origin=Origin.SOURCE,
        provenance=Provenance.PUBLISHED,
        texts=_words(
            en="The person is deceased.",
            nl="De persoon is overleden.",
            fr="La personne est décédée.",
            de="Die Person ist verstorben.",
        ),
        cause=_words(
            en="The authentic source records a decease; this neither ends nor forbids inscriptions.",
            nl="De authentieke bron vermeldt een overlijden; dat beëindigt of verbiedt geen inschrijvingen.",
            fr=(
                "La source authentique mentionne un décès ; celui-ci ne met pas fin aux inscriptions et ne les "
                "interdit pas."
            ),
            de="Die authentische Quelle verzeichnet einen Sterbefall; er beendet und verbietet keine Einschreibungen.",
        ),
        remedy=_words(
            en="Check that the inscription is still needed, for example for the rights of survivors.",
            nl="Ga na of de inschrijving nog nodig is, bijvoorbeeld voor de rechten van nabestaanden.",
            fr="Vérifiez si l'inscription est encore nécessaire, par exemple pour les droits des survivants.",
            de="Prüfen Sie, ob die Einschreibung noch nötig ist, zum Beispiel für die Rechte von Hinterbliebenen.",
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.LEGAL_CONTEXT_NOT_GRANTED,
        severity=Severity.FATAL,
        origin=Origin.KSZ,
        provenance=Provenance.PUBLISHED,
        texts=_words(
            en="The legal context is not known or not granted to your organisation.",
            nl="De wettelijke context is onbekend of niet toegekend aan uw organisatie.",
            fr="Le contexte légal est inconnu ou n'est pas accordé à votre organisation.",
            de="Der gesetzliche Kontext ist unbekannt oder Ihrer Organisation nicht gewährt.",
        ),
        cause=_words(
            en="No permission of your organisation names this legal context for this operation.",
            nl="Geen enkele toelating van uw organisatie vermeldt deze wettelijke context voor deze operatie.",
            fr="Aucune autorisation de votre organisation ne mentionne ce contexte légal pour cette opération.",
            de="Keine Zulassung Ihrer Organisation nennt diesen gesetzlichen Kontext für diese Operation.",
        ),
        remedy=_words(
            en="Use the legal context that CBSS handed out with your permission, or ask CBSS for an extension.",
            nl=(
                "Gebruik de wettelijke context die de KSZ bij uw toelating heeft meegedeeld, of vraag de KSZ een "
                "uitbreiding."
            ),
            fr=(
                "Utilisez le contexte légal communiqué par la BCSS avec votre autorisation, ou demandez-lui une "
                "extension."
            ),
            de=(
                "Verwenden Sie den mit Ihrer Zulassung mitgeteilten Kontext oder beantragen Sie bei der ZDSS eine "
                "Erweiterung."
            ),
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.INTERNAL_ERROR,
        severity=Severity.FATAL,
        origin=Origin.KSZ,
        provenance=Provenance.PUBLISHED,
        fault_side="Server",
        texts=_words(
            en="An unexpected internal error occurred.",
            nl="Er is een onverwachte interne fout opgetreden.",
            fr="Une erreur interne inattendue s'est produite.",
            de="Ein unerwarteter interner Fehler ist aufgetreten.",
        ),
        cause=_words(
            en="The service failed on its own side; the request was not completed.",
            nl="De dienst heeft aan eigen zijde gefaald; de aanvraag is niet afgewerkt.",
            fr="Le service a connu une défaillance de son côté ; la demande n'a pas abouti.",
            de="Der Dienst hat auf seiner Seite versagt; die Anfrage wurde nicht abgeschlossen.",
        ),
        remedy=_CONTACT_DESK,
    ),
    CatalogueEntry(
        code=OutcomeCode.SSIN_CANCELED,
        severity=Severity.FATAL,
        origin=Origin.SOURCE,
        provenance=Provenance.OURS,
        texts=_words(
            en="The SSIN was canceled, and no active file continues it.",
            nl="Het INSZ is geannuleerd en wordt door geen enkel actief dossier voortgezet.",
            fr="Le NISS a été annulé et n'est continué par aucun dossier actif.",
            de="Die ENSS wurde annulliert und wird durch keine aktive Akte fortgeführt.",
        ),
        cause=_words(
            en="The number is canceled, or the numbers that replaced it do not lead to an active file.",
            nl="Het nummer is geannuleerd, of de nummers die het vervangen, leiden niet naar een actief dossier.",
            fr="Le numéro est annulé, ou les numéros qui le remplacent ne mènent pas à un dossier actif.",
            de="Die Nummer ist annulliert, oder die sie ersetzenden Nummern führen zu keiner aktiven Akte.",
        ),
        remedy=_words(
            en="Identify the person again; if the person does exist, report the number to CBSS.",
            nl="Identificeer de persoon opnieuw; bestaat de persoon wel, meld het nummer dan aan de KSZ.",
            fr="Identifiez à nouveau la personne ; si elle existe bien, signalez le numéro à la BCSS.",
            de="Identifizieren Sie die Person erneut; wenn es sie gibt, melden Sie die Nummer der ZDSS.",
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.SSIN_REPLACED,
        severity=Severity.WARNING,
        origin=Origin.SOURCE,
        provenance=Provenance.OURS,
        texts=_words(
            en="The SSIN was replaced; the request was carried out on the current SSIN.",
            nl="Het INSZ is vervangen; de aanvraag is uitgevoerd op het huidige INSZ.",
            fr="Le NISS a été remplacé ; la demande a été exécutée sur le NISS actuel.",
            de="Die ENSS wurde ersetzt; die Anfrage wurde mit der aktuellen ENSS ausgeführt.",
        ),
        cause=_words(
            en="The person has another number now, for example a National Register number after a BIS number.",
            nl="De persoon heeft nu een ander nummer, bijvoorbeeld een Rijksregisternummer na een bisnummer.",
            fr=(
                "La personne a désormais un autre numéro, par exemple un numéro de Registre national après un numéro "
                "bis."
            ),
            de="Die Person hat jetzt eine andere Nummer, etwa eine Nationalregisternummer nach einer Bis-Nummer.",
        ),
        remedy=_words(
            en="Put the current number of this answer into your file.",
            nl="Neem het huidige nummer uit dit antwoord op in uw dossier.",
            fr="Reprenez dans votre dossier le numéro actuel mentionné dans cette réponse.",
            de="Übernehmen Sie die aktuelle Nummer aus dieser Antwort in Ihre Akte.",
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.INSCRIPTION_CONTEXT_NOT_GRANTED,
        severity=Severity.FATAL,
        origin=Origin.KSZ,
        provenance=Provenance.OURS,
        texts=_words(
            en="The inscription context is not known or not granted to your organisation.",
            nl="De inschrijvingscontext is onbekend of niet toegekend aan uw organisatie.",
            fr="Le contexte d'inscription est inconnu ou n'est pas accordé à votre organisation.",
            de="Der Einschreibungskontext ist unbekannt oder Ihrer Organisation nicht gewährt.",
        ),
        cause=_words(
            en="Inscription contexts are defined in advance, and your permission does not name this one.",
            nl="Inschrijvingscontexten zijn vooraf bepaald en uw toelating vermeldt deze niet.",
            fr="Les contextes d'inscription sont définis au préalable et votre autorisation ne mentionne pas celui-ci.",
            de="Einschreibungskontexte sind im Voraus festgelegt, und Ihre Zulassung nennt diesen nicht.",
        ),
        remedy=_words(
            en="Use an inscription context of your permission, or ask CBSS for an extension.",
            nl="Gebruik een inschrijvingscontext uit uw toelating, of vraag de KSZ een uitbreiding.",
            fr="Utilisez un contexte d'inscription de votre autorisation, ou demandez une extension à la BCSS.",
            de="Verwenden Sie einen Kontext Ihrer Zulassung oder beantragen Sie bei der ZDSS eine Erweiterung.",
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.VOLUME_EXCEEDED,
        severity=Severity.FATAL,
        origin=Origin.FACADE,
        provenance=Provenance.OURS,
        retryable=True,
        texts=_words(
            en="The agreed volume of requests has been exceeded.",
            nl="Het afgesproken volume aan aanvragen is overschreden.",
            fr="Le volume de demandes convenu a été dépassé.",
            de="Das vereinbarte Anfragevolumen wurde überschritten.",
        ),
        cause=_words(
            en="Your application sent more requests in the current window than its permission foresees.",
            nl="Uw toepassing heeft in het lopende tijdvak meer aanvragen verstuurd dan haar toelating voorziet.",
            fr=(
                "Votre application a envoyé, dans la fenêtre en cours, plus de demandes que son autorisation ne le "
                "prévoit."
            ),
            de="Ihre Anwendung hat im laufenden Zeitfenster mehr Anfragen gesendet, als ihre Zulassung vorsieht.",
        ),
        remedy=_words(
            en="Wait for the next window, spread the requests, or agree on a larger volume with CBSS.",
            nl="Wacht op het volgende tijdvak, spreid de aanvragen, of spreek met de KSZ een groter volume af.",
            fr="Attendez la fenêtre suivante, étalez les demandes ou convenez d'un volume supérieur avec la BCSS.",
            de=(
                "Warten Sie das nächste Zeitfenster ab, verteilen Sie die Anfragen, oder vereinbaren Sie ein höheres "
                "Volumen."
            ),
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.LEGAL_DATA_MISMATCH,
        severity=Severity.FATAL,
        origin=Origin.SOURCE,
        provenance=Provenance.OURS,
        texts=_words(
            en="The legal data given do not match the authentic source; nothing was written.",
            nl="De opgegeven wettelijke gegevens stemmen niet overeen met de authentieke bron; er is niets geschreven.",
            fr="Les données légales fournies ne correspondent pas à la source authentique ; rien n'a été enregistré.",
            de=(
                "Die angegebenen gesetzlichen Daten stimmen nicht mit der authentischen Quelle überein; nichts wurde "
                "gespeichert."
            ),
        ),
        cause=_words(
            en="At least one of the fields given differs from the register; the answer names each of them.",
            nl="Minstens een van de opgegeven velden verschilt van het register; het antwoord noemt ze allemaal.",
            fr="Au moins un des champs fournis diffère du registre ; la réponse les mentionne tous.",
            de="Mindestens ein angegebenes Feld weicht vom Register ab; die Antwort nennt sie alle.",
        ),
        remedy=_words(
            en="Check that the number belongs to the person you mean, correct the fields named, and send again.",
            nl="Ga na of het nummer bij de bedoelde persoon hoort, verbeter de genoemde velden en verstuur opnieuw.",
            fr="Vérifiez que le numéro est celui de la personne visée, corrigez les champs mentionnés et renvoyez.",
            de=(
                "Prüfen Sie, ob die Nummer zur gemeinten Person gehört, berichtigen Sie die Felder und senden Sie "
                "erneut."
            ),
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.LEGAL_DATA_NOT_VERIFIABLE,
        severity=Severity.INFORMATION,
        origin=Origin.SOURCE,
        provenance=Provenance.OURS,
        texts=_words(
            en="Legal data given could not be verified, or only in part.",
            nl="Opgegeven wettelijke gegevens konden niet of slechts gedeeltelijk worden geverifieerd.",
            fr="Des données légales fournies n'ont pas pu être vérifiées, ou seulement en partie.",
            de="Angegebene gesetzliche Daten konnten nicht oder nur teilweise überprüft werden.",
        ),
        cause=_words(
            en="The register does not hold the field, or holds it incompletely.",
            nl="Het register bevat het gegeven niet, of slechts onvolledig.",
            fr="Le registre ne contient pas la donnée, ou ne la contient qu'incomplètement.",
            de="Das Register enthält die Angabe nicht oder nur unvollständig.",
        ),
        remedy=_words(
            en="The request was carried out; verify the field by a document of the person if it matters.",
            nl=(
                "De aanvraag is uitgevoerd; controleer het gegeven zo nodig aan de hand van een document van de "
                "persoon."
            ),
            fr="La demande a été exécutée ; vérifiez au besoin la donnée à l'aide d'un document de la personne.",
            de="Die Anfrage wurde ausgeführt; prüfen Sie die Angabe nötigenfalls anhand eines Dokuments der Person.",
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.INSCRIPTION_IDENTICAL,
        severity=Severity.WARNING,
        origin=Origin.KSZ,
        provenance=Provenance.OURS,
        texts=_words(
            en="An identical inscription exists already; nothing was changed.",
            nl="Er bestaat al een identieke inschrijving; er is niets gewijzigd.",
            fr="Une inscription identique existe déjà ; rien n'a été modifié.",
            de="Eine identische Einschreibung besteht bereits; es wurde nichts geändert.",
        ),
        cause=_words(
            en="Your organisation already has this person inscribed in this context for this period.",
            nl="Uw organisatie heeft deze persoon al ingeschreven in deze context voor deze periode.",
            fr="Votre organisation a déjà inscrit cette personne dans ce contexte pour cette période.",
            de="Ihre Organisation hat diese Person in diesem Kontext für diesen Zeitraum bereits eingeschrieben.",
        ),
        remedy=_NOTHING_TO_DO,
    ),
    CatalogueEntry(
        code=OutcomeCode.INSCRIPTION_MERGED,
        severity=Severity.INFORMATION,
        origin=Origin.KSZ,
        provenance=Provenance.OURS,
        texts=_words(
            en="The inscription was merged with existing inscriptions of the same context.",
            nl="De inschrijving is samengevoegd met bestaande inschrijvingen van dezelfde context.",
            fr="L'inscription a été fusionnée avec des inscriptions existantes du même contexte.",
            de="Die Einschreibung wurde mit bestehenden Einschreibungen desselben Kontexts zusammengeführt.",
        ),
        cause=_words(
            en="The new period overlaps or adjoins a period that was inscribed before.",
            nl="De nieuwe periode overlapt met of sluit aan op een eerder ingeschreven periode.",
            fr="La nouvelle période chevauche ou jouxte une période déjà inscrite.",
            de="Der neue Zeitraum überschneidet oder berührt einen früher eingeschriebenen Zeitraum.",
        ),
        remedy=_words(
            en="Take the resulting periods of this answer over into your file.",
            nl="Neem de resulterende periodes uit dit antwoord over in uw dossier.",
            fr="Reprenez dans votre dossier les périodes résultantes mentionnées dans cette réponse.",
            de="Übernehmen Sie die sich ergebenden Zeiträume aus dieser Antwort in Ihre Akte.",
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.INSCRIPTION_NOT_FOUND,
        severity=Severity.FATAL,
        origin=Origin.KSZ,
        provenance=Provenance.OURS,
        texts=_words(
            en="The inscription to update or to delete was not found.",
            nl="De aan te passen of te schrappen inschrijving is niet gevonden.",
            fr="L'inscription à modifier ou à supprimer n'a pas été trouvée.",
            de="Die anzupassende oder zu löschende Einschreibung wurde nicht gefunden.",
        ),
        cause=_words(
            en="Your organisation has no such inscription of this person in this context and period.",
            nl="Uw organisatie heeft voor deze persoon geen dergelijke inschrijving in deze context en periode.",
            fr=(
                "Votre organisation n'a pas, pour cette personne, d'inscription de ce type dans ce contexte et cette "
                "période."
            ),
            de="Ihre Organisation hat für diese Person keine solche Einschreibung in diesem Kontext und Zeitraum.",
        ),
        remedy=_words(
            en="Consult the inscriptions of the person and repeat the request with the period as it stands.",
            nl="Raadpleeg de inschrijvingen van de persoon en herhaal de aanvraag met de periode zoals ze er staat.",
            fr="Consultez les inscriptions de la personne et répétez la demande avec la période telle qu'elle figure.",
            de=(
                "Konsultieren Sie die Einschreibungen der Person und wiederholen Sie die Anfrage mit dem dortigen "
                "Zeitraum."
            ),
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.TICKET_REPEATED,
        severity=Severity.INFORMATION,
        origin=Origin.KSZ,
        provenance=Provenance.OURS,
        texts=_words(
            en="This ticket was treated before; the first answer is given again.",
            nl="Dit ticket is al eerder verwerkt; het eerste antwoord wordt opnieuw gegeven.",
            fr="Ce ticket a déjà été traité ; la première réponse est à nouveau fournie.",
            de="Dieses Ticket wurde bereits verarbeitet; die erste Antwort wird erneut gegeben.",
        ),
        cause=_words(
            en="The same request was sent again under the same ticket; it was carried out only once.",
            nl="Dezelfde aanvraag is opnieuw verstuurd met hetzelfde ticket; ze is maar één keer uitgevoerd.",
            fr="La même demande a été renvoyée avec le même ticket ; elle n'a été exécutée qu'une seule fois.",
            de="Dieselbe Anfrage wurde mit demselben Ticket erneut gesendet; sie wurde nur einmal ausgeführt.",
        ),
        remedy=_NOTHING_TO_DO,
    ),
    CatalogueEntry(
        code=OutcomeCode.TICKET_REUSED,
        severity=Severity.FATAL,
        origin=Origin.KSZ,
        provenance=Provenance.OURS,
        texts=_words(
            en="This ticket was used before for a request with another content.",
            nl="Dit ticket is eerder gebruikt voor een aanvraag met een andere inhoud.",
            fr="Ce ticket a déjà été utilisé pour une demande dont le contenu est différent.",
            de="Dieses Ticket wurde bereits für eine Anfrage mit anderem Inhalt verwendet.",
        ),
        cause=_words(
            en="A ticket stands for one request; your application gave it to two different ones.",
            nl="Een ticket staat voor één aanvraag; uw toepassing heeft het aan twee verschillende gegeven.",
            fr="Un ticket correspond à une seule demande ; votre application l'a attribué à deux demandes différentes.",
            de="Ein Ticket steht für eine Anfrage; Ihre Anwendung hat es zwei verschiedenen gegeben.",
        ),
        remedy=_words(
            en="Send the request under a new ticket, preferably a UUID.",
            nl="Verstuur de aanvraag met een nieuw ticket, bij voorkeur een UUID.",
            fr="Envoyez la demande avec un nouveau ticket, de préférence un UUID.",
            de="Senden Sie die Anfrage mit einem neuen Ticket, vorzugsweise einer UUID.",
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.SOURCE_UNREACHABLE,
        severity=Severity.FATAL,
        origin=Origin.SOURCE,
        provenance=Provenance.OURS,
        retryable=True,
        texts=_words(
            en="The authentic source cannot be reached; nothing was written.",
            nl="De authentieke bron is onbereikbaar; er is niets geschreven.",
            fr="La source authentique est injoignable ; rien n'a été enregistré.",
            de="Die authentische Quelle ist nicht erreichbar; es wurde nichts gespeichert.",
        ),
        cause=_words(
            en="The register or the repertory does not answer; this says nothing about the person or the number.",
            nl="Het register of het repertorium antwoordt niet; dit zegt niets over de persoon of het nummer.",
            fr="Le registre ou le répertoire ne répond pas ; cela ne dit rien de la personne ni du numéro.",
            de=(
                "Das Register oder das Verzeichnis antwortet nicht; das sagt nichts über die Person oder die Nummer "
                "aus."
            ),
        ),
        remedy=_words(
            en="Send the same request again later, under the same ticket.",
            nl="Verstuur dezelfde aanvraag later opnieuw, met hetzelfde ticket.",
            fr="Renvoyez la même demande plus tard, avec le même ticket.",
            de="Senden Sie dieselbe Anfrage später erneut, mit demselben Ticket.",
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.SERVICE_ERROR,
        severity=Severity.FATAL,
        origin=Origin.FACADE,
        provenance=Provenance.PUBLISHED,
        fault_side="Server",
        texts=_words(
            en="The service failed to treat the request.",
            nl="De dienst kon de aanvraag niet verwerken.",
            fr="Le service n'a pas pu traiter la demande.",
            de="Der Dienst konnte die Anfrage nicht verarbeiten.",
        ),
        cause=_words(
            en="The service failed on its own side.",
            nl="De dienst heeft aan eigen zijde gefaald.",
            fr="Le service a connu une défaillance de son côté.",
            de="Der Dienst hat auf seiner Seite versagt.",
        ),
        remedy=_CONTACT_DESK,
    ),
    CatalogueEntry(
        code=OutcomeCode.NOT_AUTHENTICATED,
        severity=Severity.FATAL,
        origin=Origin.FACADE,
        provenance=Provenance.PUBLISHED,
        fault_side="Client",
        texts=_words(
            en="The sender of the message could not be authenticated.",
            nl="De afzender van het bericht kon niet worden geauthenticeerd.",
            fr="L'expéditeur du message n'a pas pu être authentifié.",
            de="Der Absender der Nachricht konnte nicht authentifiziert werden.",
        ),
        cause=_words(
            en="The message security is absent, out of date, or not accepted by the policy of this service.",
            nl="De berichtbeveiliging ontbreekt, is verlopen of wordt door het beleid van deze dienst niet aanvaard.",
            fr="La sécurité du message est absente, périmée ou non acceptée par la politique de ce service.",
            de=(
                "Die Nachrichtensicherheit fehlt, ist abgelaufen oder wird von der Richtlinie dieses Dienstes nicht "
                "akzeptiert."
            ),
        ),
        remedy=_words(
            en=(
                "Check certificate, clock and signed parts against the policy in the WSDL; then give the ticket to "
                "the desk."
            ),
            nl=(
                "Toets certificaat, klok en ondertekende delen aan het beleid in de WSDL; geef anders het ticket aan "
                "de servicedesk."
            ),
            fr=(
                "Comparez certificat, horloge et parties signées à la politique du WSDL ; sinon, donnez le ticket au "
                "service desk."
            ),
            de=(
                "Prüfen Sie Zertifikat, Uhr und signierte Teile anhand der WSDL-Richtlinie; sonst Ticket an den "
                "Service-Desk."
            ),
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.NOT_AUTHORIZED,
        severity=Severity.FATAL,
        origin=Origin.FACADE,
        provenance=Provenance.PUBLISHED,
        fault_side="Client",
        texts=_words(
            en="The application is not authorised to make this request.",
            nl="De toepassing is niet gemachtigd om deze aanvraag te doen.",
            fr="L'application n'est pas autorisée à effectuer cette demande.",
            de="Die Anwendung ist nicht befugt, diese Anfrage zu stellen.",
        ),
        cause=_words(
            en="The access rules do not let this application call this operation for this organisation.",
            nl="De toegangsregels laten deze toepassing niet toe deze operatie voor deze organisatie op te roepen.",
            fr=(
                "Les règles d'accès ne permettent pas à cette application d'appeler cette opération pour cette "
                "organisation."
            ),
            de="Die Zugriffsregeln erlauben dieser Anwendung nicht, diese Operation für diese Organisation aufzurufen.",
        ),
        remedy=_words(
            en="Check the operation and the customer identification; ask for access if your permission covers them.",
            nl="Controleer de operatie en de klantidentificatie; vraag toegang aan als uw toelating ze omvat.",
            fr=(
                "Vérifiez l'opération et l'identification du client ; demandez l'accès si votre autorisation les "
                "couvre."
            ),
            de="Prüfen Sie Operation und Kundenidentifikation; beantragen Sie Zugang, wenn Ihre Zulassung sie umfasst.",
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.NOT_AVAILABLE,
        severity=Severity.FATAL,
        origin=Origin.FACADE,
        provenance=Provenance.PUBLISHED,
        fault_side="Server",
        texts=_words(
            en="The service is not available; contact the service desk.",
            nl="De dienst is niet beschikbaar; neem contact op met de servicedesk.",
            fr="Le service n'est pas disponible ; contactez le service desk.",
            de="Der Dienst ist nicht verfügbar; wenden Sie sich an den Service-Desk.",
        ),
        cause=_words(
            en="The service is down for a reason that does not pass by itself.",
            nl="De dienst ligt stil om een reden die niet vanzelf voorbijgaat.",
            fr="Le service est arrêté pour une raison qui ne disparaîtra pas d'elle-même.",
            de="Der Dienst steht aus einem Grund still, der nicht von selbst vergeht.",
        ),
        remedy=_CONTACT_DESK,
    ),
    CatalogueEntry(
        code=OutcomeCode.TEMPORARILY_NOT_AVAILABLE,
        severity=Severity.FATAL,
        origin=Origin.FACADE,
        provenance=Provenance.PUBLISHED,
        retryable=True,
        fault_side="Server",
        texts=_words(
            en="The service is temporarily not available; try again later.",
            nl="De dienst is tijdelijk niet beschikbaar; probeer het later opnieuw.",
            fr="Le service est temporairement indisponible ; réessayez plus tard.",
            de="Der Dienst ist vorübergehend nicht verfügbar; versuchen Sie es später erneut.",
        ),
        cause=_words(
            en="A part that the service needs is away or overloaded; nothing was written.",
            nl="Een onderdeel dat de dienst nodig heeft, is afwezig of overbelast; er is niets geschreven.",
            fr="Un composant nécessaire au service est absent ou surchargé ; rien n'a été enregistré.",
            de="Ein benötigter Bestandteil fehlt oder ist überlastet; es wurde nichts gespeichert.",
        ),
        remedy=_words(
            en="Sign and send the same request again later, under the same ticket.",
            nl="Onderteken en verstuur dezelfde aanvraag later opnieuw, met hetzelfde ticket.",
            fr="Signez et renvoyez la même demande plus tard, avec le même ticket.",
            de="Signieren und senden Sie dieselbe Anfrage später erneut, mit demselben Ticket.",
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.MALFORMED_MESSAGE,
        severity=Severity.FATAL,
        origin=Origin.FACADE,
        provenance=Provenance.PUBLISHED,
        fault_side="Client",
        texts=_words(
            en="The message is malformed.",
            nl="Het bericht is misvormd.",
            fr="Le message est mal formé.",
            de="Die Nachricht ist fehlerhaft aufgebaut.",
        ),
        cause=_words(
            en="The message is not well-formed XML, is wrongly encoded, or goes beyond the limits of this service.",
            nl="Het bericht is geen welgevormde XML, is verkeerd gecodeerd of overschrijdt de grenzen van deze dienst.",
            fr="Le message n'est pas du XML bien formé, est mal encodé ou dépasse les limites de ce service.",
            de=(
                "Die Nachricht ist kein wohlgeformtes XML, falsch kodiert oder überschreitet die Grenzen dieses "
                "Dienstes."
            ),
        ),
        remedy=_words(
            en="Send well-formed XML in UTF-8 within the documented limits.",
            nl="Verstuur welgevormde XML in UTF-8 binnen de gedocumenteerde grenzen.",
            fr="Envoyez du XML bien formé en UTF-8, dans les limites documentées.",
            de="Senden Sie wohlgeformtes XML in UTF-8 innerhalb der dokumentierten Grenzen.",
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.NOT_SOAP,
        severity=Severity.FATAL,
        origin=Origin.FACADE,
        provenance=Provenance.PUBLISHED,
        fault_side="Client",
        texts=_words(
            en="The message must be a SOAP message.",
            nl="Het bericht moet een SOAP-bericht zijn.",
            fr="Le message doit être un message SOAP.",
            de="Die Nachricht muss eine SOAP-Nachricht sein.",
        ),
        cause=_words(
            en="The root of the message is not the Envelope of SOAP 1.1.",
            nl="Het hoofdelement van het bericht is niet de Envelope van SOAP 1.1.",
            fr="L'élément racine du message n'est pas l'Envelope de SOAP 1.1.",
            de="Das Wurzelelement der Nachricht ist nicht der Envelope von SOAP 1.1.",
        ),
        remedy=_words(
            en="Put the request into a SOAP 1.1 envelope.",
            nl="Plaats de aanvraag in een SOAP 1.1-enveloppe.",
            fr="Placez la demande dans une enveloppe SOAP 1.1.",
            de="Legen Sie die Anfrage in einen SOAP-1.1-Umschlag.",
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.BODY_MISSING,
        severity=Severity.FATAL,
        origin=Origin.FACADE,
        provenance=Provenance.PUBLISHED,
        fault_side="Client",
        texts=_words(
            en="The SOAP message must contain a Body with one request.",
            nl="Het SOAP-bericht moet een Body met één aanvraag bevatten.",
            fr="Le message SOAP doit contenir un Body avec une seule demande.",
            de="Die SOAP-Nachricht muss einen Body mit einer Anfrage enthalten.",
        ),
        cause=_words(
            en="The Body is absent or empty, or holds several elements.",
            nl="De Body ontbreekt, is leeg of bevat meerdere elementen.",
            fr="Le Body est absent, vide ou contient plusieurs éléments.",
            de="Der Body fehlt, ist leer oder enthält mehrere Elemente.",
        ),
        remedy=_words(
            en="Put exactly one request into the Body.",
            nl="Plaats precies één aanvraag in de Body.",
            fr="Placez exactement une demande dans le Body.",
            de="Legen Sie genau eine Anfrage in den Body.",
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.WSI_COMPLIANCE,
        severity=Severity.FATAL,
        origin=Origin.FACADE,
        provenance=Provenance.PUBLISHED,
        fault_side="Client",
        texts=_words(
            en="The message does not comply with the WS-I Basic Profile.",
            nl="Het bericht voldoet niet aan het WS-I Basic Profile.",
            fr="Le message n'est pas conforme au WS-I Basic Profile.",
            de="Die Nachricht entspricht nicht dem WS-I Basic Profile.",
        ),
        cause=_words(
            en="The message uses what the profile forbids, or a mandatory header that this service does not know.",
            nl="Het bericht gebruikt wat het profiel verbiedt, of een verplichte header die deze dienst niet kent.",
            fr="Le message utilise ce que le profil interdit, ou un en-tête obligatoire que ce service ne connaît pas.",
            de=(
                "Die Nachricht nutzt, was das Profil verbietet, oder einen verpflichtenden Header, den dieser Dienst "
                "nicht kennt."
            ),
        ),
        remedy=_words(
            en="Leave out DOCTYPE, processing instructions and headers marked mustUnderstand that are not in the WSDL.",
            nl="Laat DOCTYPE, processing instructions en mustUnderstand-headers die niet in de WSDL staan, weg.",
            fr="Supprimez DOCTYPE, instructions de traitement et en-têtes mustUnderstand absents du WSDL.",
            de=(
                "Lassen Sie DOCTYPE, Verarbeitungsanweisungen und mustUnderstand-Header, die nicht in der WSDL "
                "stehen, weg."
            ),
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.WSDL_COMPLIANCE,
        severity=Severity.FATAL,
        origin=Origin.FACADE,
        provenance=Provenance.PUBLISHED,
        fault_side="Client",
        texts=_words(
            en="The message does not comply with the WSDL of the service.",
            nl="Het bericht voldoet niet aan de WSDL van de dienst.",
            fr="Le message n'est pas conforme au WSDL du service.",
            de="Die Nachricht entspricht nicht der WSDL des Dienstes.",
        ),
        cause=_words(
            en="The element in the Body is not an operation of this service.",
            nl="Het element in de Body is geen operatie van deze dienst.",
            fr="L'élément du Body n'est pas une opération de ce service.",
            de="Das Element im Body ist keine Operation dieses Dienstes.",
        ),
        remedy=_words(
            en="Check the namespace, the name of the operation and the address against the WSDL.",
            nl="Vergelijk de namespace, de naam van de operatie en het adres met de WSDL.",
            fr="Comparez l'espace de noms, le nom de l'opération et l'adresse avec le WSDL.",
            de="Vergleichen Sie Namensraum, Namen der Operation und Adresse mit der WSDL.",
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.XSD_COMPLIANCE,
        severity=Severity.FATAL,
        origin=Origin.FACADE,
        provenance=Provenance.PUBLISHED,
        fault_side="Client",
        texts=_words(
            en="The message does not comply with the XML schema of the service.",
            nl="Het bericht voldoet niet aan het XML-schema van de dienst.",
            fr="Le message n'est pas conforme au schéma XML du service.",
            de="Die Nachricht entspricht nicht dem XML-Schema des Dienstes.",
        ),
        cause=_words(
            en="An element is absent, out of order or unknown, or a value has a wrong form.",
            nl=(
                "Een element ontbreekt, staat op de verkeerde plaats of is onbekend, of een waarde heeft een foute "
                "vorm."
            ),
            fr="Un élément est absent, mal placé ou inconnu, ou une valeur n'a pas la forme requise.",
            de="Ein Element fehlt, steht an falscher Stelle oder ist unbekannt, oder ein Wert hat eine falsche Form.",
        ),
        remedy=_words(
            en="Validate the message against the published schema before sending it.",
            nl="Valideer het bericht tegen het gepubliceerde schema voordat u het verstuurt.",
            fr="Validez le message par rapport au schéma publié avant de l'envoyer.",
            de="Validieren Sie die Nachricht vor dem Senden gegen das veröffentlichte Schema.",
        ),
    ),
    CatalogueEntry(
        code=OutcomeCode.CONTENT_VALIDATION,
        severity=Severity.FATAL,
        origin=Origin.FACADE,
        provenance=Provenance.PUBLISHED,
        fault_side="Client",
        texts=_words(
            en="The content of the message is not valid.",
            nl="De inhoud van het bericht is ongeldig.",
            fr="Le contenu du message n'est pas valide.",
            de="Der Inhalt der Nachricht ist ungültig.",
        ),
        cause=_words(
            en="A value passes the schema and yet cannot be read, for example a date that does not exist.",
            nl="Een waarde voldoet aan het schema maar is toch onleesbaar, bijvoorbeeld een datum die niet bestaat.",
            fr="Une valeur satisfait au schéma mais ne peut être lue, par exemple une date qui n'existe pas.",
            de="Ein Wert genügt dem Schema und ist doch nicht lesbar, zum Beispiel ein Datum, das es nicht gibt.",
        ),
        remedy=_words(
            en="Correct the value and send the message again.",
            nl="Verbeter de waarde en verstuur het bericht opnieuw.",
            fr="Corrigez la valeur et renvoyez le message.",
            de="Berichtigen Sie den Wert und senden Sie die Nachricht erneut.",
        ),
    ),
)

CATALOGUE: Final[Mapping[OutcomeCode, CatalogueEntry]] = MappingProxyType({entry.code: entry for entry in _ENTRIES})
"""The entry of every code, in the order of the codes."""


def render_markdown() -> str:
    """The catalogue as the text of docs/outcome-codes.md."""
    meanings = [
        f"| {entry.code} | `{entry.code.name}` | {entry.severity} | {entry.origin} | {entry.provenance} "
        f"| {entry.fault_side or '–'} | {'yes' if entry.retryable else 'no'} "
        f"| {entry.texts['en']} | {entry.cause['en']} | {entry.remedy['en']} |"
        for entry in CATALOGUE.values()
    ]
    return "\n".join(
        [
            "# Outcome codes",
            "",
            "Written from `src/cbss_inscription/domain/outcome_codes.py`; change the catalogue, not this file.",
            "",
            "Mark: A = the code is published by KSZ or RSZ, C = after their convention, D = ours. Fault: the side that",
            "a SOAP fault blames; – means an ordinary response. Retry: the same message, sent later, may succeed.",
            "All texts are our own wording.",
            "",
            "| code | name | severity | origin | mark | fault | retry | text | cause | remedy |",
            "|---|---|---|---|---|---|---|---|---|---|",
            *meanings,
            *(line for language in LANGUAGES[1:] for line in _translation(language)),
            "",
        ]
    )


def _translation(language: str) -> list[str]:
    return [
        "",
        f"## Texts: {language}",
        "",
        "| code | text | cause | remedy |",
        "|---|---|---|---|",
        *(
            f"| {entry.code} | {entry.texts[language]} | {entry.cause[language]} | {entry.remedy[language]} |"
            for entry in CATALOGUE.values()
        ),
    ]
