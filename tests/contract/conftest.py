"""What the tests of the contract share: the schemas, and one full message of each kind, written by hand."""

from __future__ import annotations

import pytest

from cbss_inscription.contract.door import Door
from cbss_inscription.contract.schema import Schema, schema_of

HEAD = """
  <informationCustomer>
    <ticket>8f9c2a51-6d0e-4d0b-9a3e-1c2f7d5b6a70</ticket>
    <timestampSent>2026-03-01T10:20:30.5+01:00</timestampSent>
    <customerIdentification><sector>17</sector><institution>1</institution></customerIdentification>
  </informationCustomer>
"""
CBSS = """
  <informationCBSS>
    <ticketCBSS>1b1b6828-71a6-49b6-a543-7edc975d54c3</ticketCBSS>
    <timestampReceive>2026-03-01T09:20:31.000Z</timestampReceive>
    <timestampReply>2026-03-01T09:20:31.020Z</timestampReply>
  </informationCBSS>
"""
LEGAL = "<legalContext>PCSA:SOCIAL_INQUIRY</legalContext>"
CRITERIA = """
  <criteria>
    <ssin>85073003328</ssin>
    <inscriptionContext>PCSA:LIVING_WAGE</inscriptionContext>
    <inscriptionContext>PCSA:MEDICAL</inscriptionContext>
    <period><beginDate>2020-01-01</beginDate><endDate>2020-12-31Z</endDate></period>
    <next>b3BhcXVl</next>
  </criteria>
"""
INSCRIPTION = """
    <inscription>
      <inscriptionContext>PCSA:LIVING_WAGE</inscriptionContext>
      <period><beginDate>2020-01-01</beginDate><endDate>2020-12-31</endDate></period>
    </inscription>
"""
DECLARATIONS = {
    "insertInscription": f"""
  <declaration>
    <ssin>85073003328</ssin>{INSCRIPTION}
    <legalData>
      <name><lastName>Peeters</lastName><givenName>Anna</givenName><givenName>Maria</givenName></name>
      <birth><birthDate>1985-07-00</birthDate></birth>
      <gender><genderCode>2</genderCode></gender>
    </legalData>
  </declaration>
""",
    "updateInscription": f"""
  <declaration>
    <ssin>85073003328</ssin>{INSCRIPTION}
    <newPeriod><beginDate>2020-02-01</beginDate><endDate>2021-12-31</endDate></newPeriod>
  </declaration>
""",
    "deleteInscription": """
  <declaration>
    <ssin>85073003328</ssin>
    <inscriptionContext>PCSA:LIVING_WAGE</inscriptionContext>
    <period><beginDate>2020-02-01</beginDate><endDate>2020-02-29</endDate></period>
  </declaration>
""",
}
LINES = """
  <inscriptions>
    <inscription>
      <inscriptionContext>PCSA:LIVING_WAGE</inscriptionContext>
      <period><beginDate>2020-01-01</beginDate><endDate>2020-12-31</endDate></period>
      <organization><cbeNumber>0206731645</cbeNumber></organization>
      <lastChange>2020-01-02T03:04:05.678Z</lastChange>
    </inscription>
  </inscriptions>
"""
INFORMATION = "<information><fieldName>ssin</fieldName><fieldValue>x</fieldValue></information>"
SSIN = '<ssin canceled="false" replaces="85073003328">85073000162</ssin>'


def _detail(code: str) -> str:
    return f"""<detail><severity>WARNING</severity><reasonCode>{code}</reasonCode><diagnostic>text</diagnostic>
      <authorCode>InscriptionService</authorCode>{INFORMATION}</detail>"""


def _status(value: str) -> str:
    return f"""<status><value>{value}</value><code>MSG00000</code><description>text</description>
      {INFORMATION}</status>"""


def _messages(prefix: str, operation: str) -> dict[str, str]:
    if operation == "consultInscriptions":
        question = CRITERIA
        outcome = (
            _status("DATA_FOUND")
            + SSIN
            + "<dataFilters><filteredElement>organization</filteredElement></dataFilters>"
            + LINES
            + "<next>b3BhcXVl</next>"
        )
    else:
        question = DECLARATIONS[operation]
        outcome = (
            _status("NOK")
            + SSIN
            + f"<validationErrors>{_detail('CBI00301')}</validationErrors>"
            + f"<anomalies>{_detail('CBI00402')}</anomalies>"
            + LINES
        )
    return {
        f"{prefix}Request": HEAD + CBSS + LEGAL + question,
        f"{prefix}Response": HEAD + CBSS + LEGAL + question + outcome,
    }


FACADE_MESSAGES = {
    name: f'<q:{name} xmlns:q="http://socialsecurity.be/cbssinscription/v1">{content}</q:{name}>'
    for prefix, operation in (
        ("ConsultInscriptions", "consultInscriptions"),
        ("InsertInscription", "insertInscription"),
        ("UpdateInscription", "updateInscription"),
        ("DeleteInscription", "deleteInscription"),
    )
    for name, content in _messages(prefix, operation).items()
} | {
    "HealthCheckRequest": '<m:HealthCheckRequest xmlns:m="http://services.fgov.be/monitoring/v1" type="DEEP"/>',
    "HealthCheckResponse": """
<HealthCheckResponse xmlns="http://services.fgov.be/monitoring/v1" timestamp="2026-03-01T09:20:31Z">
  <Status><Level>WARNING</Level><Code>1</Code><Message>slow</Message></Status>
  <Component><Name>CBSSInscription</Name><Version>1.0.0</Version></Component>
  <Location><Environment>TST</Environment><Host>host</Host><Port>8443</Port></Location>
  <SanityCheck id="repertory">
    <Status><Level>CRITICAL</Level><Message>away</Message></Status>
    <Resource name="repertory" type="DB"/>
    <TimeInMillis>12</TimeInMillis>
  </SanityCheck>
</HealthCheckResponse>""",
}
KSZ_MESSAGES = {
    name: f'<q:{name} xmlns:q="http://kszbcss.fgov.be/intf/InscriptionService/v1">{content}</q:{name}>'
    for operation in ("consultInscriptions", "insertInscription", "updateInscription", "deleteInscription")
    for name, content in (
        _messages(operation, operation)
        | {f"{operation}Fault": HEAD + CBSS + _detail("MSG00003") + _detail("MSG00008")}
        | {"sendTestMessageRequest": "<echo>hello</echo>", "sendTestMessageResponse": CBSS + "<echo>hello</echo>"}
    ).items()
}

MUTATION_CRITERIA = "<criteria><afterSequenceNumber>17</afterSequenceNumber><limit>500</limit></criteria>"
MUTATION = """
    <mutation>
      <sequenceNumber>18</sequenceNumber>
      <event>replaced</event>
      <ssin>72020290081</ssin>
      <currentSsin>85073003328</currentSsin>
      <inscriptionContext>PCSA:LIVING_WAGE</inscriptionContext>
      <inscriptionContext>PCSA:MEDICAL</inscriptionContext>
      <timestamp>2026-03-01T09:20:31.000Z</timestamp>
    </mutation>
"""
MUTATION_MESSAGES = {
    name: f'<q:{name} xmlns:q="urn:cbss-inscription:mutations:v1">{HEAD}{CBSS}{LEGAL}{content}</q:{name}>'
    for name, content in {
        "ConsultMutationsRequest": MUTATION_CRITERIA,
        "ConsultMutationsResponse": f"""{MUTATION_CRITERIA}{_status("DATA_FOUND")}<mutations>{MUTATION}</mutations>
          <lastSequenceNumber>18</lastSequenceNumber><more>true</more>""",
    }.items()
}
SSIN_CRITERIA = "<criteria><ssin>85073000162</ssin><ssin>85073003328</ssin></criteria>"
PHONETIC_CRITERIA = """
  <criteria>
    <lastName>Peeters</lastName>
    <givenName>Anna</givenName>
    <givenName>Maria</givenName>
    <givenNameMode>ALL_GIVENNAME</givenNameMode>
    <birthDate>1985-07-00</birthDate>
    <genderCode>2</genderCode>
  </criteria>
"""


def _person(ssin: str) -> str:
    return f"""
      <person>
        <register>NR</register>
        {ssin}
        <name><lastName>Peeters</lastName><givenName>Anna</givenName><givenName>Maria</givenName></name>
        <birth><birthDate>1985-07-00</birthDate></birth>
        <gender><genderCode>2</genderCode></gender>
        <decease><deceaseDate>2020-00-00</deceaseDate></decease>
        <registerInceptionDate>2001-02-03</registerInceptionDate>
      </person>
"""


_CHAIN = _person('<ssin canceled="true" replacedBy="85073003328">85073000162</ssin>') + _person(
    "<ssin>85073003328</ssin>"
)
_FOUND = f"<result>{_person('<ssin>85073003328</ssin>')}</result>"
PERSON_MESSAGES = {
    name: f'<q:{name} xmlns:q="http://kszbcss.fgov.be/intf/PersonService/v1">{content}</q:{name}>'
    for name, content in {
        "searchPersonBySsinRequest": HEAD + CBSS + LEGAL + SSIN_CRITERIA,
        "searchPersonBySsinResponse": HEAD
        + CBSS
        + LEGAL
        + SSIN_CRITERIA
        + _status("DATA_FOUND")
        + f"<results><result><ssin>85073000162</ssin>{_CHAIN}</result>"
        + "<result><ssin>85073003328</ssin></result></results>",
        "searchPersonBySsinFault": HEAD + CBSS + _detail("MSG00003") + _detail("MSG00008"),
        "searchPersonPhoneticallyRequest": HEAD + CBSS + LEGAL + PHONETIC_CRITERIA,
        "searchPersonPhoneticallyResponse": HEAD
        + CBSS
        + LEGAL
        + PHONETIC_CRITERIA
        + _status("DATA_FOUND")
        + f"<results>{2 * _FOUND}</results>",
        "searchPersonPhoneticallyFault": HEAD + CBSS + _detail("MSG00003") + _detail("MSG00008"),
        "sendTestMessageRequest": "<echo>hello</echo>",
        "sendTestMessageResponse": CBSS + "<echo>hello</echo>",
        "sendTestMessageFault": HEAD + CBSS + _detail("MSG00003") + _detail("MSG00008"),
    }.items()
}
MESSAGES = {
    Door.FACADE: FACADE_MESSAGES,
    Door.KSZ: KSZ_MESSAGES,
    Door.MUTATIONS: MUTATION_MESSAGES,
    Door.PERSON: PERSON_MESSAGES,
}


@pytest.fixture
def messages() -> dict[Door, dict[str, str]]:
    """One full message of each kind of each door, by its element's name."""
    return MESSAGES


@pytest.fixture
def facade() -> Schema:
    """The schema of the façade door."""
    return schema_of(Door.FACADE)


@pytest.fixture
def ksz() -> Schema:
    """The schema of the KSZ door."""
    return schema_of(Door.KSZ)


@pytest.fixture
def facade_messages() -> dict[str, str]:
    """One full message of each kind of the façade door, by its element's name."""
    return FACADE_MESSAGES


@pytest.fixture
def ksz_messages() -> dict[str, str]:
    """One full message of each kind of the KSZ door, by its element's name."""
    return KSZ_MESSAGES
