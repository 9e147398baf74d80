# ruff: noqa: E501 - a pattern is easier to check unbroken
"""The words by which a reader of reports knows a statement, a unit and a currency."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from schemas.filings import StatementKind

_I: Final = re.IGNORECASE

TITLES: Final[dict[StatementKind, re.Pattern[str]]] = {
    "income_statement": re.compile(
        r"\bstatements?\s+of\s+(?:\w+\s+)?(?:income|operations|earnings|profit\s+(?:and|or|&)\s+loss)"
        r"|\bincome\s+statements?\b|\bprofit\s+(?:and|&|or)\s+loss\s+(?:account|statement)"
        r"|\bstatements?\s+of\s+(?:profit|(?:total\s+)?comprehensive\s+(?:income|loss))"
        r"|gewinn-?\s*und\s+verlust-?rechnung|erfolgsrechnung"
        r"|\bcompte\s+de\s+r[ée]sultats?|\bcuenta\s+de\s+(?:p[ée]rdidas\s+y\s+ganancias|resultados)"
        r"|\bestado\s+de\s+resultados",
        _I,
    ),
    "balance_sheet": re.compile(
        r"\bbalance\s+sheets?\b|\bstatements?\s+of\s+(?:consolidated\s+)?financial\s+(?:position|condition)"
        r"|bilanz\b|\bbilan\b|\bbalance\s+(?:consolidado|general|de\s+situaci[óo]n)"
        r"|\b[ée]tat\s+de\s+la\s+situation\s+financi[èe]re|\bestado\s+de\s+situaci[óo]n\s+financiera",
        _I,
    ),
    "cash_flow": re.compile(
        r"\b(?:statements?\s+of\s+(?:\w+\s+)?cash[- ]?\s*flows?|cash[- ]?\s*flow\s+statements?)"
        r"|\bstatements?\s+of\s+changes\s+in\s+cash"
        r"|(?:kapitalfluss|geldfluss|mittelfluss|cash-?\s?flow-?)\s*rechnung"
        r"|\b(?:tableau|[ée]tat)\s+(?:consolid[ée]\s+)?des\s+flux\s+de\s+tr[ée]sorerie"
        r"|\bestado\s+de\s+flujos?\s+de\s+efectivo",
        _I,
    ),
}

OTHER_TITLES: Final = re.compile(
    r"\bstatements?\s+of\s+(?:consolidated\s+)?(?:changes\s+in\s+)?(?:(?:share|stock)(?:holder|owner)s?['\u2019]?\s+)?"
    r"(?:equity|investment|deficit)|\bchanges\s+in\s+(?:(?:share|stock)holders['\u2019]?\s+)?equity"
    r"|^\s*notes?\s+to\s+the\s+(?:consolidated\s+|group\s+)?financial|\beigenkapital(?:nachweis|veränderungs)"
    r"|\bvariations?\s+des\s+capitaux|\bcambios\s+en\s+el\s+patrimonio",
    _I,
)
"""Titles that end a statement standing above them on the same page."""

CONSOLIDATED: Final = re.compile(r"\bconsolidat|\bgroup\b|\bkonzern|\bkonsolidiert|\bconsolid", _I)
PARENT_ONLY: Final = re.compile(
    r"\bparent[- ](?:company|only)|\bcompany\s+(?:balance|statement|income|cash)"
    r"|\bregistrant\b|\bguarantor|\bobligor|\bpro[- ]?forma|\bschedule\s+i\b|\beinzelabschluss|\bmuttergesellschaft"
    r"|\bcomptes\s+sociaux|\bsociété\s+mère\s+seule|\bcuentas\s+individuales",
    _I,
)
INTERIM: Final = re.compile(r"\bcondensed\b|\bunaudited|\bverkürzt|\bungeprüft|\bnon\s+audité|\bno\s+auditad", _I)
"""What an interim statement is called, and a summary beside a full one."""
CONTINUED: Final = re.compile(r"\b(?:continued|cont['\u2019]?d|fortsetzung|suite|continuaci[óo]n)\b", _I)

_ANCHOR_WORDS: Final[dict[StatementKind, tuple[str, ...]]] = {
    "income_statement": (
        r"\brevenues?\b|\bsales\b|\bturnover\b|umsatz|chiffre d.affaires|ingresos|ventas",
        r"\bcost of (?:sales|revenue|goods)|\boperating expenses|aufwand|co[ûu]t des ventes|coste de",
        r"\b(?:income|profit|loss|earnings)\b.{0,30}\bbefore\b.{0,20}\btax|vor steuern|avant imp[ôo]t|antes de impuestos",
        r"\bincome tax|\btaxation\b|ertrags?steuer|imp[ôo]ts? sur|impuesto sobre",
        r"\bnet (?:income|earnings|loss|profit)\b|\b(?:profit|loss) for the (?:year|period)|jahresüberschuss|reingewinn|konzerngewinn|r[ée]sultat net|resultado (?:neto|del ejercicio)",
        r"\bper (?:ordinary |common )?share|je aktie|par action|por acci[óo]n",
        r"\binterest (?:expense|income)|\bfinance (?:costs?|income)|finanz(?:aufwand|ergebnis)|financi[eè]r",
        r"\boperating (?:income|profit|loss)|betriebsergebnis|r[ée]sultat op[ée]rationnel|resultado de explotaci[óo]n",
    ),
    "balance_sheet": (
        r"\btotal assets\b|\bnet assets\b|(?:bilanzsumme|total aktiven|summe aktiva)|total (?:de l.)?actif|total activo",
        r"\bcurrent assets\b|umlaufvermögen|kurzfristige vermögen|actifs? courants?|activo corriente",
        r"\bcurrent liabilities\b|kurzfristige (?:schulden|verbindlichkeiten)|passifs? courants?|pasivo corriente",
        r"\btotal liabilities\b|\bnon-?\s?current liabilities|langfristige|passifs? non|pasivo no",
        r"\b(?:share|stock)holders?['\u2019]? equity|\btotal equity|eigenkapital|capitaux propres|patrimonio neto",
        r"\bretained (?:earnings|deficit)|\baccumulated deficit|\breserves?\b|gewinnreserven|r[ée]serves|reservas",
        r"\bshare capital|\bcommon stock|\bordinary shares|aktienkapital|grundkapital|capital social",
        r"\breceivables?\b|\binventor(?:y|ies)\b|\bloans\b|forderungen|cr[ée]ances|deudores",
    ),
    "cash_flow": (
        r"\boperating activities|\boperations\b|betriebs?tätigkeit|geschäftstätigkeit|activit[ée]s op[ée]rationnelles|actividades de (?:operaci[óo]n|explotaci[óo]n)",
        r"\binvesting activities|\binvestments?\b|investitionstätigkeit|d.investissement|actividades de inversi[óo]n",
        r"\bfinancing activities|finanzierungstätigkeit|de financement|actividades de financiaci[óo]n",
        r"\b(?:at|,)?\s*(?:the )?(?:beginning|end|start) of (?:the )?(?:financial |fiscal )?(?:year|period)|jahresende|\bfin de (?:l|p|a)|al final del",
        r"\bnet (?:increase|decrease|change|\(decrease|\(increase)|\b(?:increase|decrease)\b.{0,30}\bin cash|veränderung|variation (?:nette )?de|variaci[óo]n",
        r"\bdepreciation|\bamorti[sz]ation|abschreibung|amortissement|amortizaci[óo]n",
        r"\bdividends?\b|dividende|repayments?\b|proceeds\b",
    ),
}
ANCHORS: Final = {kind: tuple(re.compile(word, _I) for word in words) for kind, words in _ANCHOR_WORDS.items()}
"""Lines that a statement has; a page that carries few of them is not one."""

CLOSES: Final[dict[StatementKind, re.Pattern[str]]] = {
    "income_statement": re.compile(
        r"\bnet\s+(?:income|earnings|loss|profit)\b|\b(?:profit|loss)\s+for\s+the\s+(?:year|period)|\battributable to"
        r"|\bper\s+(?:\w+\s+)?share|jahresüberschuss|reingewinn|konzerngewinn|r[ée]sultat net|resultado (?:neto|del)",
        _I,
    ),
    "balance_sheet": re.compile(
        r"\btotal\s+(?:liabilities\s*(?:,|and|&).{0,60}?(?:equity|deficit)|equity\s+and\s+liabilities|(?:share|stock)holders['\u2019]?\s+(?:equity|funds))"
        r"|\btotal\s+equity\b|summe passiva|total passiven|total (?:du )?passif|total pasivo y patrimonio|total patrimonio",
        _I,
    ),
    "cash_flow": re.compile(
        r"\bend\s+of\s+(?:the\s+)?(?:financial\s+|fiscal\s+)?(?:year|period)|\bat\s+\d+\s+\w+\s*$|\bclosing\s+cash"
        r"|ende (?:des|der)|jahresende|cl[ôo]ture|fin de (?:l.exercice|p[ée]riode)|al final del",
        _I,
    ),
}
"""Lines that a statement ends with; until one was seen, the statement goes on."""

UNITS: Final[tuple[tuple[re.Pattern[str], int], ...]] = (
    (
        re.compile(r"\b(?:in|rs|inr|rupees)\b\W*(?:rs\b|inr\b)?\W*(?:in\s+)?crores?\b|(?:₹|\()\W*crores?\b", _I),
        10_000_000,
    ),
    (
        re.compile(
            r"\b(?:in|rs|inr|rupees)\b\W*(?:rs\b|inr\b)?\W*(?:in\s+)?la(?:kh|c)s?\b|(?:₹|\()\W*la(?:kh|c)s?\b", _I
        ),
        100_000,
    ),
    (
        re.compile(
            r"\bin\s+(?:[a-z.$£€]+\s+){0,3}billions\b|\bbillions of\b|\(billions|[$£€]\s?bn\b|\bmilliarden\b|\bmrd\b|\bmilliards d",
            _I,
        ),
        1_000_000_000,
    ),
    (
        re.compile(
            r"\b(?:in|of)\s+(?:[a-z.$£€]+\s+){0,3}millions?\b|\bmillions\s+of\b|\(\s*millions"
            r"|(?:[$£€]|\b(?:usd|eur|gbp|chf|cad|aud|us\$|sek|nok|dkk|jpy|inr|rmb))\s?(?:m|mn|mio|millions?)\b\.?"
            r"|\bmio\.?\b|\bin\s+millionen|\ben\s+millions|\bmillions\s+d|\ben\s+millones|\bmillones\s+de\b|\bm[€£]|\bmeur\b|(?:^|\n)\W*(?:\w+ )?millions?\b(?=\s*[,;)]|\s+(?:except|unless|of))"
            r"|\b(?:dollars|euros?|pounds|francs)\s+in\s+millions|[$£€]\s?['\u2019]?000['\u2019]?\s?000",
            _I,
        ),
        1_000_000,
    ),
    (
        re.compile(
            r"\b(?:in|of)\s+(?:[a-z.$£€]+\s+){0,3}thousands?\b|\bthousands\s+of\b|\(\s*thousands|['\u2019\u2018]\s?000s?\b|\b000['\u2019]s"
            r"|(?:[$£€])\s?000s?\b|(?:[$£€]|\b(?:usd|eur|gbp|chf|cad|aud))\s?k\b|\bteur\b|\btchf\b|\btsd\.?|\bin\s+tausend"
            r"|\b(?:en\s+)?milliers\s+d|\ben\s+milliers|\b(?:en\s+)?miles\s+de\b|\ben\s+miles\b|(?:^|\n)\W*(?:\w+ )?thousands?\b(?=\s*[,;)]|\s+(?:except|unless|of))|\bk[€£]|\bkeur\b|\bkchf\b",
            _I,
        ),
        1_000,
    ),
)

_CURRENCY_WORDS: Final = {
    "CAD": r"(?i:canadian dollars?)|\bC\$|\bCAD\b|\bCA\$|\bCdn\$?",
    "AUD": r"(?i:australian dollars?)|\bA\$|\bAUD\b|\bAU\$",
    "HKD": r"(?i:hong kong dollars?)|\bHK\$|\bHKD\b",
    "SGD": r"(?i:singapore dollars?)|\bS\$|\bSGD\b",
    "NZD": r"(?i:new zealand dollars?)|\bNZ\$|\bNZD\b",
    "USD": r"(?i:u\.?\s?s\.? dollars?|united states dollars?)|\bUS\$|\bUSD\b",
    "GBP": r"£|(?i:pounds? sterling)|\bGBP\b",
    "EUR": r"€|(?i:\beuros?\b|\bteur\b|\bmeur\b|\bkeur\b)|\bEUR\b",
    "CHF": r"(?i:swiss francs?|schweizer franken)|\bS?CHF\b|\bTCHF\b",
    "JPY": r"¥|(?i:japanese yen|\byen\b)|\bJPY\b",
    "CNY": r"(?i:renminbi)|\bRMB\b|\bCNY\b",
    "INR": r"₹|(?i:indian rupees|\bcrores?\b|\blakhs?\b)|\bINR\b",
    "SEK": r"(?i:swedish kron[oa]r?)|\bSEK\b|\bMSEK\b",
    "NOK": r"(?i:norwegian krone)|\bNOK\b",
    "DKK": r"(?i:danish krone)|\bDKK\b",
    "BRL": r"(?i:brazilian reais)|\bR\$|\bBRL\b",
    "MXN": r"(?i:mexican pesos)|\bMXN\b",
    "ZAR": r"(?i:south african rand)|\bZAR\b",
}
_CURRENCY: Final = re.compile("|".join(f"(?P<{code}>{words})" for code, words in _CURRENCY_WORDS.items()))


def unit_in(text: str) -> int | None:
    """The unit multiplier that a header names, None when it names none."""
    found = [(match.start(), size) for pattern, size in UNITS if (match := pattern.search(text))]
    return min(found)[1] if found else None


def currency_in(text: str) -> str | None:
    """ISO 4217 code of the currency that a header names first, None for none or a bare dollar sign."""
    match = _CURRENCY.search(text)
    return match.lastgroup if match else None
