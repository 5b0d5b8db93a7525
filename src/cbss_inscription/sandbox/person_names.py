"""Names for persons who do not exist: common last names and given names of the communities that live in Belgium.

No list of real persons: the lists hold the names themselves, each borne by many, and the population combines them at
random. They are chosen to be awkward where real names are: accents, apostrophes, prefixes, hyphens, a dotted and a
dotless i, a sharp s, letters outside Latin-1. Every name is in Unicode normal form C [D].

The order of the lists decides who gets which name: whoever changes them changes every population, and its recorded
digest in the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.replace("\n", " ").split("|"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Community:
    """Names that go together."""

    weight: int
    """Persons in a hundred who have names of this community."""
    last_names: tuple[str, ...]
    men: tuple[str, ...]
    women: tuple[str, ...]
    double_percent: int = 3
    """Persons in a hundred of this community who bear two last names (in Belgium the parents' choice since 2014)."""
    joiner: str = " "
    """What stands between two last names."""


COMMUNITIES: Final[Mapping[str, Community]] = {
    "dutch": Community(
        weight=44,
        last_names=_names(
            """Peeters|Janssens|Maes|Jacobs|Mertens|Willems|Claes|Goossens|Wouters|De Smet|Van den Broeck|Vermeulen|
            De Clercq|Hendrickx|Van Damme|Michiels|Aerts|Van de Velde|Hermans|Smets|Stevens|Martens|Cools|Lemmens|
            De Backer|De Wilde|Segers|Pauwels|Van den Bossche|Verhoeven|Desmet|Coppens|Wauters|De Pauw|Bogaert|
            Vandenberghe|De Meyer|Verstraete|Baert|Thijs|Claeys|Van Hove|Timmermans|Verbeke|Devos|Bauwens|Lambrechts|
            Vandamme|Vercammen|De Vos|Moens|Verlinden|Geerts|Van de Walle|De Ridder|Declercq|Vermeiren|Smeets|
            Van den Eynde|Van der Auwera|D'Hondt|d'Hondt|D'hoker|D'Haeseleer|'t Kindt|Van 't Hof|Daniëls|Michiëls|
            Beliën|Geldhof|Raes|Ceulemans|Dierckx|Verschueren|Vandevelde|Van Acker|De Cock|De Groote|Van Hecke|
            De Rycke|Vanneste|Deprez|Callens|Nijs|Huybrechts|Ooms|Kuppens|Vanderstraeten|Van Overstraeten|
            Van de Wiele|De Bruyn|Van Nieuwenhuyse|Van den Abeele|Uyttendaele|Wijnants|Ghys|Van Straaten"""
        ),
        men=_names(
            """Jan|Luc|Marc|Dirk|Johan|Patrick|Peter|Koen|Bart|Wim|Tom|Kristof|Joris|Pieter|Stijn|Thomas|Jeroen|
            Maarten|Wouter|Ruben|Sven|Tim|Dries|Jens|Niels|Bram|Lowie|Loïc|Joël|Michaël|Daniël|Raphaël|Noël|Gaël|
            Staf|Jef|Walter|Willy|Eddy|Gustaaf|Etienne|René|André|Jozef|Frans|Hugo|Guido|Herman|Karel|Jean-Pierre|
            Jan-Baptist|Pieter-Jan|Willem-Jan|Geert|Filip|Frederik|Hendrik|Lieven|Matthias|Mathieu|Simon|Yoeri|Cyriël|
            Emiel|Camiel|Achiel|Odilon|Aloïs"""
        ),
        women=_names(
            """Maria|Martine|Ann|An|Els|Hilde|Katrien|Ingrid|Sofie|Sarah|Lies|Liesbeth|Eva|Lotte|Ellen|Evelien|Leen|
            Annelies|Veerle|Griet|Greet|Goedele|Godelieve|Lutgarde|Rita|Rosa|Nele|Inge|Kim|Nathalie|Noëlla|Daniëlle|
            Zoë|Chloë|Renée|Hélène|Joëlle|Maité|Anaïs|Joke|Jolien|Tine|Kaat|Marieke|Karolien|Lien|Machteld|Mieke|
            Emma|Julie|Laura|Charlotte|Elise|Amélie|Anne-Marie|Marie-Louise|Anna-Maria|Ann-Sofie|Eléonore|Gerarda|
            Paula|Simonne|Yvonne|Jeannine|Cecile|Lieve|Mia|Bea|Magda|Ilse|Daphné|Béatrijs"""
        ),
    ),
    "french": Community(
        weight=27,
        last_names=_names(
            """Dubois|Lambert|Dupont|Martin|Simon|Laurent|Leroy|Denis|Lejeune|Renard|Gérard|Lemaire|Noël|Collard|
            François|Grégoire|Léonard|Thiry|Mathieu|Hubert|Charlier|Fontaine|Delvaux|Henry|Legrand|Marchal|Michel|
            Dumont|Georges|Bastin|Wéry|Piérard|Pirard|Evrard|Adam|Lefèvre|Lefebvre|Bodart|Defrêne|Delfosse|Dethier|
            Gilson|Gillet|Guillaume|Herman|Hanquet|Jadot|Jacquemin|Jacquet|Libert|Louis|Maréchal|Meunier|Monseur|
            Nicolas|Parmentier|Petit|Pierre|Poncelet|Remacle|Rousseau|Stassart|Tilman|Urbain|Warnier|Willame|
            Deprêtre|Crèvecœur|Delcour|D'Ans|d'Orchimont|D'Août|De Bièvre|De Coninck|De la Fontaine|Le Bœuf|Le Maître|
            Prévot|Prévost|Bélanger|Châtelain|Hénin|Honoré|Jérôme|Desprès|Gobiët|Moïse|Bouché|Carlier|Cambier|
            Gaëtan|Loïs|Pâques|Lacroix|Vanderheyden|Degrève"""
        ),
        men=_names(
            """Jean|Michel|Philippe|Pierre|Marc|Daniel|André|Alain|Bernard|Luc|Christian|Eric|Éric|Thierry|Olivier|
            Benoît|Frédéric|Laurent|Vincent|Nicolas|David|Didier|Stéphane|Christophe|Fabrice|Sébastien|Grégory|Jérôme|
            Cédric|Jérémy|Rémy|Loïc|Maxime|Julien|Romain|Kévin|Anthony|Quentin|Aurélien|Gaëtan|Raphaël|Joël|Noël|
            Maël|Théo|Léo|Félix|Hervé|René|Gérard|Désiré|Aimé|José|François|François-Xavier|Jean-Marie|Jean-François|
            Jean-Luc|Jean-Noël|Pierre-Yves|Louis-Philippe|Charles-Édouard|Gérald|Étienne|Barthélemy|Régis"""
        ),
        women=_names(
            """Marie|Anne|Nathalie|Isabelle|Catherine|Christine|Françoise|Véronique|Valérie|Sylvie|Sophie|Céline|
            Aurélie|Stéphanie|Virginie|Émilie|Emilie|Mélanie|Élodie|Laëtitia|Gaëlle|Joëlle|Noëlle|Hélène|Irène|Agnès|
            Andrée|Renée|Dominique|Monique|Jacqueline|Danièle|Michèle|Mireille|Geneviève|Thérèse|Bénédicte|Béatrice|
            Cécile|Clémentine|Clémence|Chloé|Zoé|Léa|Inès|Anaïs|Maëlle|Maïté|Héloïse|Éléonore|Noémie|Pénélope|Solène|
            Marie-Thérèse|Marie-Hélène|Marie-Noëlle|Anne-Françoise|Marie-Ange|Rose-Aimée|Lucie|Juliette|Charlotte|
            Manon|Camille|Justine|Elise|Ségolène|Maud|Édith|Adélaïde"""
        ),
        double_percent=4,
        joiner="-",
    ),
    "german": Community(
        weight=3,
        last_names=_names(
            """Müller|Schmitz|Schröder|Weber|Meyer|Heinen|Theissen|Lenz|Kohnen|Köttgen|Jost|Maraite|Hoffmann|Servais|
            Pauels|Krämer|Böhm|Bößer|Weiß|Schäfer|Lütgen|Möller|Hönen|Zimmermann|Paasch|Margraff|Reuter|Jousten|
            Thönnissen|Backes|Schöffers|Heck|Großmann|Vomberg|von der Heiden|Zur Nieden|Klöcker"""
        ),
        men=_names(
            """Jürgen|Günther|Karl-Heinz|Hans-Jürgen|Dieter|Helmut|Björn|Jörg|Stefan|Andreas|Rüdiger|Leo|Edgar|Oswald|
            Alfons|Bruno|Erwin|Rainer|Götz|Sören|Ralf|Norbert|Mathias|Hubert|Klaus-Peter|Lothar|Manfred"""
        ),
        women=_names(
            """Ursula|Renate|Brigitte|Käthe|Bärbel|Jördis|Anneliese|Gisela|Petra|Sabine|Heike|Claudia|Anna-Lena|Änne|
            Hannelore|Rosemarie|Margarethe|Elfriede|Irmgard|Ingeborg|Käte|Katharina|Anke|Birgit|Doris|Eva-Maria"""
        ),
        joiner="-",
    ),
    "moroccan": Community(
        weight=7,
        last_names=_names(
            """Ben Ali|Benali|Ben Haddou|Ben Saïd|El Amrani|El Idrissi|El Khattabi|El Ouahabi|El Bakkali|Bouazza|
            Bouzid|Chaouch|Aït Ali|Aït Lahcen|Haddad|Bensaïd|Benaïssa|Kaddouri|Lahlou|Mansouri|Saïdi|Zeroual|
            Ouali|Tahiri|Yacoubi|El Haddadi|Belkacem|Azzouzi|Chakir|Ez-Zaher|Naït Ouaziz|Oulad Haj|Daoudi|Hamdaoui"""
        ),
        men=_names(
            """Mohamed|Mohammed|Ahmed|Hassan|Rachid|Saïd|Abdelkader|Abdellah|Abd el Karim|Youssef|Mustapha|Ali|Omar|
            Hamza|Ilyas|Bilal|Anass|Karim|Khalid|Nordin|Noureddine|Brahim|Ismaïl|Ayoub|Naïm|Faïçal|Jamal|Zakaria|
            Mehdi|El Hassan|Driss|Raïs"""
        ),
        women=_names(
            """Fatima|Fatima-Zohra|Fatiha|Aïcha|Khadija|Naïma|Saïda|Zohra|Latifa|Malika|Samira|Rachida|Hafida|Yasmina|
            Nadia|Sara|Salma|Imane|Hanane|Loubna|Ikram|Souad|Raïssa|Zineb|Leïla|Houda|Amina|Jamila|Kaoutar|Mina"""
        ),
        double_percent=1,
    ),
    "turkish": Community(
        weight=4,
        last_names=_names(
            """Yılmaz|Kaya|Demir|Şahin|Çelik|Yıldız|Yıldırım|Öztürk|Aydın|Özdemir|Arslan|Doğan|Kılıç|Aslan|Çetin|Kara|
            Koç|Kurt|Özkan|Şimşek|Polat|Özcan|Erdoğan|Güneş|Türkmen|Ünal|Işık|Karataş|Bağcı|Güçlü"""
        ),
        men=_names(
            """Mehmet|Mustafa|Ali|Hüseyin|Hasan|İbrahim|İsmail|Osman|Süleyman|Murat|Ömer|Özgür|Yiğit|Gökhan|Emre|Fatih|
            Ünal|Şükrü|Çağlar|Rıza|Yusuf|Halil|Kâzım|Burak|Oğuzhan"""
        ),
        women=_names(
            """Ayşe|Fatma|Emine|Hatice|Zeynep|Elif|Özlem|Gülşen|Şerife|Çiğdem|Büşra|Yıldız|Gül|Ümmühan|Hülya|Songül|
            Sevgi|Nesrin|İpek|Derya|Tuğba|Aslıhan|Nurgül|Gönül|Dilek"""
        ),
        double_percent=1,
    ),
    "italian": Community(
        weight=4,
        last_names=_names(
            """Rossi|Russo|Ferrari|Esposito|Bianchi|Romano|Colombo|Ricci|D'Angelo|D'Amico|Dell'Aquila|De Luca|Di Maio|
            Di Stefano|Lo Presti|La Rosa|Li Vigni|Nicolò|Cantù|Forlì|Dalla Costa|Della Valle|Sant'Angelo|Gallo|Greco|
            Mancini|Marino|Puglisi|Sciacca|Vitale"""
        ),
        men=_names(
            """Giuseppe|Giovanni|Antonio|Salvatore|Calogero|Vincenzo|Nicolò|Luca|Marco|Andrea|Matteo|Gian Luca|
            Pietro|Domenico|Angelo|Raffaele|Cosimo|Rocco|Gaetano|Gian-Carlo"""
        ),
        women=_names(
            """Maria|Giuseppina|Rosa|Concetta|Carmela|Angela|Giovanna|Anna Maria|Francesca|Lucia|Assunta|Filomena|
            Calogera|Nicoletta|Chiara|Maria Pia|Rosalia|Graziella|Ornella|Libertà"""
        ),
        double_percent=1,
    ),
    "spanish": Community(
        weight=2,
        last_names=_names(
            """García|Fernández|González|Rodríguez|López|Martínez|Sánchez|Pérez|Gómez|Martín|Jiménez|Ruiz|Hernández|
            Díaz|Moreno|Muñoz|Álvarez|Núñez|Ibáñez|Peña|de la Fuente|de los Ríos|Ordóñez|Castañeda|Güell|Iñigo|Vázquez|
            Del Río|Agüero|Cañizares"""
        ),
        men=_names(
            """José|José María|José Luis|Juan|Juan Carlos|Antonio|Manuel|Jesús|Ángel|Rubén|Andrés|Íñigo|Iván|Óscar|
            Adrián|Joaquín|Ramón|Tomás|Raúl|Iñaki"""
        ),
        women=_names(
            """María|María del Carmen|María José|María Ángeles|Carmen|Dolores|Begoña|Mónica|Inés|Lucía|Sofía|Rocío|
            Belén|Asunción|Concepción|Pilar|Noemí|Verónica|Núria|Ángela"""
        ),
        double_percent=85,
    ),
    "portuguese": Community(
        weight=2,
        last_names=_names(
            """da Silva|dos Santos|Ferreira|Pereira|Oliveira|Costa|Rodrigues|Martins|Gonçalves|Lopes|Araújo|Simões|
            Magalhães|Guimarães|Conceição|da Conceição|Brandão|Leitão|Falcão|Assunção|Sá|Antunes|Baptista|Esteves|
            do Rosário|Azevedo e Sousa|Castro|Pinto|Neves|Quintão"""
        ),
        men=_names(
            """João|José|António|Luís|Sérgio|Flávio|Fábio|Tomé|Simão|Estêvão|Rui|Nuno|Paulo|Tiago|Hélder|Márcio|
            Vítor|Álvaro|Sebastião|Zé-Maria"""
        ),
        women=_names(
            """Maria|Ana|Inês|Conceição|Mónica|Sónia|Cátia|Patrícia|Vitória|Fátima|Lúcia|Glória|Catarina|Beatriz|
            Maria de Fátima|Maria da Conceição|Antónia|Graça|Lurdes|Estefânia"""
        ),
        double_percent=85,
    ),
    "polish": Community(
        weight=2,
        last_names=_names(
            """Kowalski|Nowak|Wójcik|Wiśniewski|Kamiński|Zieliński|Szymański|Dąbrowski|Kozłowski|Mazur|Krawczyk|Pawłowski|
            Żak|Gąsior|Król|Wróbel|Jabłoński|Świątek|Łuczak|Źrebiec"""
        ),
        men=_names(
            """Andrzej|Krzysztof|Stanisław|Tomasz|Paweł|Józef|Łukasz|Michał|Grzegorz|Wojciech|Piotr|Sławomir|
            Mieczysław|Zdzisław|Bożydar|Jarosław"""
        ),
        women=_names(
            """Małgorzata|Agnieszka|Barbara|Ewa|Krystyna|Elżbieta|Józefa|Bożena|Grażyna|Wiesława|Żaneta|Danuta|
            Jadwiga|Katarzyna|Stanisława|Łucja"""
        ),
        joiner="-",
    ),
    "romanian": Community(
        weight=2,
        last_names=_names(
            """Popescu|Ionescu|Dumitrescu|Stănescu|Țurcanu|Șerban|Munteanu|Rădulescu|Câmpeanu|Mureșan|Pîrvu|Ciobanu|
            Georgescu|Bălan|Lăzărescu|Nistor"""
        ),
        men=_names(
            """Ion|Ștefan|Gheorghe|Andrei|Cătălin|Răzvan|Mihăiță|Vasile|Ionuț|Florin|Nicolae|Costică|Adrian|Bogdan|
            Mircea|Dănuț"""
        ),
        women=_names(
            """Maria|Elena|Ioana|Mădălina|Cătălina|Ștefania|Ana-Maria|Lăcrămioara|Mihaela|Andreea|Florența|Rodica|
            Viorica|Anișoara|Daniela|Crina"""
        ),
        joiner="-",
    ),
    "congolese": Community(
        weight=1,
        last_names=_names(
            """Mbuyi|Kabongo|Ilunga|Mukendi|Tshibangu|Ngoy|N'Kulu|M'Poyo|Kasongo wa Ngoy|Mutombo|Lumbala|Nsimba|
            Nzuzi|Ndiaye|N'Diaye|Kalala|Mwamba|Tshimanga|Bokungu|Luyeye"""
        ),
        men=_names(
            """Dieudonné|Désiré|Jean-Claude|Félicien|Théophile|Espérant|Célestin|Bienvenu|Honoré|Trésor|Emmanuel|
            Innocent|Mamadou|Jean de Dieu|Fidèle|Kasongo"""
        ),
        women=_names(
            """Espérance|Béatrice|Félicité|Marie-Claire|Dorcas|Divine|Naomie|Thérèse|Bénédicte|Clémentine|Gloire|
            Mireille|Odette|Chantal|Grâce|Fifi"""
        ),
        double_percent=5,
    ),
    "other": Community(
        weight=2,
        last_names=_names(
            """Nguyễn|Trần|Phạm|Lê Thị|O'Brien|O'Connor|Mac Cárthaigh|Smith-Jones|Novák|Dvořák|Horváth|Szabó|Kovačević|
            Đorđević|Jokić|Þórsson|Ångström|Sørensen|Müəllimov|Li|Ng|O|Singh|Kaur|Wickramasinghearachchige|
            Andriamanantenasoa|Papadopoulos|Hovhannisyan|Shevchenko|Abdulrahman bin Yusuf"""
        ),
        men=_names(
            """Văn Hùng|Đức|Seán|Pádraig|Jiří|Ondřej|Zoltán|György|Miloš|Đorđe|Bjørn|Åke|Wei|Gurpreet|Oleksandr|Tigran|
            Y|Chaminda|Jean-Baptiste Ngọc|Yiannis"""
        ),
        women=_names(
            """Thị Mai|Hương|Siobhán|Niamh|Božena|Růžena|Erzsébet|Zsófia|Živa|Đurđa|Åse|Solveig|Xiu|Harpreet|Olena|
            Anahit|Ái|Eleni|Marie-Ngọc|Ludmiła"""
        ),
    ),
}
"""The communities by the language or land of their names; the weights are ours and add up to 100 [D]."""
