# ruff: noqa: E501 - a pattern is easier to check unbroken
"""The words by which the types of documents are told apart: English, German, French and Spanish."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from schemas.filings import DocumentType


@dataclass(frozen=True, slots=True)
class Rule:
    """Words that speak for a type; a weight of 3 decides by itself, 1 is a hint."""

    document_type: DocumentType
    weight: float
    pattern: re.Pattern[str]


def _rules(*rows: tuple[DocumentType, float, str]) -> tuple[Rule, ...]:
    return tuple(Rule(kind, weight, re.compile(words, re.IGNORECASE)) for kind, weight, words in rows)


NAME_RULES: Final = _rules(
    ("annual_report", 3.0, r"\bannual (?:financial )?report\b|\b(?:form )?(?:10 ?k|20 ?f|40 ?f)\b"),
    ("annual_report", 3.0, r"\bgesch(?:ä|ae|a)?ftsbericht|\bjahres(?:finanz)?bericht|\bkonzernabschluss"),
    ("annual_report", 3.0, r"\brapport (?:financier )?annuel|\bdocument d.?enregistrement|\bURD\b|\bcomptes annuels"),
    ("annual_report", 3.0, r"\b(?:informe|memoria|reporte) (?:financiero )?anual|\bcuentas anuales"),
    ("annual_report", 3.0, r"\bjahresabschluss|\bjahresrechnung|\bkonzernrechnung|\bestados financieros anuales|\b[ée]tats financiers annuels"),
    ("annual_report", 2.2, r"\bfinanzbericht|\b(?:konzern)?lagebericht|\brapport de gestion|\binforme de gesti[óo]n"),
    ("annual_report", 2.2, r"\b(?:comptes|[ée]tats financiers) consolid[ée]s|\bestados financieros consolidados|\bconsolidated financial statements|\bmemoria\b"),
    ("annual_report", 2.0, r"\bannual (?:accounts|review)\b|\bintegrated report|\bannual business report|\bbusiness report\b"),
    ("annual_report", 1.5, r"\bFY ?R?(?:20)?\d\d report|\bGB \d{4}\b|\b\d{4} GB\b|\bAR ?(?:20)?\d\d\b|\bfull year report"),
    ("quarterly_report", 3.0, r"\b(?:form )?10 ?q\b|\bquarterly (?:financial )?report|\binterim (?:financial )?(?:report|statements)"),
    ("quarterly_report", 3.0, r"\bhalf ?year(?:ly)? (?:financial )?report|\bsemi ?annual report|\b(?:six|nine|three)[- ]months? report"),
    ("quarterly_report", 3.0, r"\bhalbjahres(?:finanz)?bericht|\bquartals(?:bericht|mitteilung)|\bzwischenbericht"),
    ("quarterly_report", 3.0, r"\brapport (?:financier )?(?:semestriel|trimestriel|interm[ée]diaire)"),
    ("quarterly_report", 3.0, r"\b(?:informe|reporte) (?:financiero )?(?:trimestral|semestral|intermedio)"),
    ("quarterly_report", 3.2, r"\bneunmonats|\b(?:halbjahres|quartals|zwischen)(?:abschluss|rechnung|finanzbericht)"),
    ("quarterly_report", 3.2, r"\b(?:comptes|[ée]tats financiers|information)\b.{0,30}\b(?:semestriel|trimestriel|interm[ée]diaire)|\brapport\b.{0,30}\b(?:semestre|trimestre)\b"),
    ("quarterly_report", 3.2, r"\bestados financieros\b.{0,30}\bintermedios|\b(?:informe|reporte|informaci[óo]n)\b.{0,30}\b(?:semestre|trimestre|semestral|trimestral)\b"),
    ("quarterly_report", 0.8, r"\b[1-3] ?T ?(?:20)?\d\d\b|\b[12] ?S ?(?:20)?\d\d\b|\bS1\b|\bT[1-3]\b"),
    ("quarterly_report", 0.8, r"\bQ[1-3]\b|\b[1-3]Q ?\d\d|\bH1\b|\bhalf ?year"),
    ("presentation", 3.0, r"\bpresentations?\b|\bpr(?:ä|ae)sentation|\bpr[ée]sentation|\bpresentaci[óo]n|\bslides?\b|\bdeck\b|\bfolien\b|\bdiaporama|\bdiapositivas"),
    ("presentation", 2.0, r"\bkapitalmarkttag|\binvestorentag|\bjourn[ée]e (?:des )?investisseurs|\bd[íi]a del inversor|\bbilanzpressekonferenz|\b(?:analysten|bilanzmedien)konferenz"),
    ("presentation", 2.0, r"\broad ?show|\b(?:investor|capital markets?|analyst) day|\bperformance highlights|\bfact ?sheet\b"),
    ("press_release", 3.5, r"\b(?:press|news|media|earnings|results) releases?\b|\bmedienmitteilung|\bpressemitteilung|\bpresse(?:information|meldung)|\bad hoc\b"),
    ("press_release", 3.0, r"\bcommuniqu[ée]|\bcomunicado|\bnota de prensa"),
    ("press_release", 3.0, r"\b(?:announces?|reports) .{0,50}results?\b|\bearnings results?\b"),
    ("press_release", 1.0, r"\bnews\b|\bpress\b"),
    ("other", 3.5, r"\b(?:form )?8 ?k\b|\b6 ?k\b|\bcurrent report|\btranscript|\bconference call"),
    ("other", 4.0, r"\bsustainab|\bcorporate (?:social )?responsibility|\b(?:CSR|CRR|ESG|GRI|NHB|RSE|TCFD)\b|\bCR \d{4}\b|\bCRR?\d\d"),
    ("other", 4.0, r"\bnachhaltigkeit|\bumweltbericht|\bd[ée]veloppement durable|\bdurabilit[ée]|\bsostenibilidad|\bnon ?financial"),
    ("other", 4.5, r"\bgobierno corporativo|\bremuneraciones|\bgouvernement d.entreprise|\bgouvernance|\bunternehmensf(?:ü|ue)hrung|\br[ée]mun[ée]rations"),
    ("other", 4.0, r"\bextra ?financi[eè]re|\bDPEF\b|\bno financier[ao]|\bumwelt(?:erkl|bericht)|\bmodern slavery|\btax strategy|\bsteuerstrategie|\bgender pay"),
    ("other", 3.5, r"\bsatzung\b|\bstatuts\b|\bestatutos|\bc[óo]digo de (?:conducta|[ée]tica)|\bverhaltenskodex|\bcharte\b|\bfinanzkalender|\bcalendrier financier|\bcalendario financiero|\btagesordnung|\bordre du jour|\bjunta general|\bhauptversammlung"),
    ("other", 4.0, r"\bgovernance (?:report|statement)|\bremuneration report|\bcompensation report|\bverg(?:ü|ue)tungsbericht"),
    ("other", 3.5, r"\bproxy\b|\bDEF ?14A|\bprospect(?:us|o)|\bprospekt\b|\bcode of conduct|\bpolicy\b|\barticles of association|\bstatuten|\bbylaws"),
    ("other", 3.5, r"\bnotice of|\binvitation|\beinladung|\bagenda\b|\bconvocat|\bcharter\b|\bterms of reference|\bprivacy"),
    ("other", 2.0, r"\bannual results\b|\bconsensus\b|\bfinancial calendar"),
)  # fmt: skip
"""For file names, link texts and folders, written as words."""

HEAD_RULES: Final = _rules(
    ("annual_report", 7.0, r"\bform\s+(?:10-?\s?k|20-?f|40-?f)(?:/a)?\b|\b[☒☑xþ]\]?\s*annual\s+report\s+pursuant\s+to\s+section"),
    ("annual_report", 4.0, r"\bannual\s+report\s+(?:and|&)\s+(?:accounts|(?:consolidated\s+)?financial\s+statements)"),
    ("annual_report", 3.0, r"\bannual\s+(?:financial\s+)?report\b|\bgeschäftsbericht|\bjahres(?:finanz)?bericht"),
    ("annual_report", 3.0, r"\brapport\s+(?:financier\s+)?annuel|\bdocument\s+d.enregistrement\s+universel"),
    ("annual_report", 3.0, r"\b(?:informe|memoria)\s+(?:financier[oa]\s+)?anual|\bcuentas\s+anuales"),
    ("quarterly_report", 7.0, r"\bform\s+10-?\s?q\b|\b[☒☑xþ]\]?\s*quarterly\s+report\s+pursuant\s+to\s+section"),
    ("quarterly_report", 3.5, r"\b(?:interim|half-?\s?year(?:ly)?|quarterly)\s+(?:financial\s+|consolidated\s+)?(?:report|statements)"),
    ("quarterly_report", 5.0, r"\bestados\s+financieros\s+intermedios|\bcomptes\s+(?:consolidés\s+)?(?:semestriels|intermédiaires)|\b(?:konzern)?zwischenabschluss|\bcondensed\s+(?:consolidated\s+)?interim"),
    ("annual_report", 3.0, r"\bkonzernabschluss\s+und|\bjahresabschluss\b|\bjahresrechnung\b|\bcomptes\s+annuels|\bestados\s+financieros\s+anuales|\bmemoria\s+anual"),
    ("quarterly_report", 3.5, r"\bhalbjahres(?:finanz)?bericht|\bquartals(?:bericht|mitteilung)|\bzwischenbericht"),
    ("quarterly_report", 3.5, r"\brapport\s+(?:financier\s+)?(?:semestriel|trimestriel)|\binforme\s+(?:financiero\s+)?(?:trimestral|semestral)"),
    ("presentation", 3.0, r"\b(?:investor|results?|earnings|company|corporate)\s+presentation|\bpr(?:ä|é)sentation\b|\bpresentaci[óo]n\b"),
    ("presentation", 2.0, r"\binvestor\s+day|\bcapital\s+markets\s+day|\broadshow"),
    ("press_release", 4.0, r"\bfor\s+immediate\s+release|\b(?:press|news|media)\s+release\b|\btoday\s+(?:announced|reported)"),
    ("press_release", 2.5, r"^\W*(?:communiqué|comunicado|mitteilung)\b|\b(?:publie|annonce)\s+(?:ses|des)\s+r[ée]sultats"),
    ("press_release", 3.0, r"\bmedienmitteilung|\bpressemitteilung|\bpresse(?:information|meldung)|\bcommuniqué de presse|\bnota de prensa|\bcomunicado de prensa"),
    ("press_release", 3.0, r"\b(?:announces?|reports)\s+(?:[\w-]+\s+){0,6}results\b"),
    ("other", 7.5, r"\bform\s+(?:8|6)-?\s?k\b|\bcurrent\s+report\s+pursuant|\bcurrent\s+report\b.{0,40}\bsection\s+13"),
    ("other", 5.0, r"\b(?:earnings|conference)\s+call\b.{0,80}\btranscript|\btranscript\b|\bnotice\s+of\s+(?:the\s+)?annual\s+(?:general\s+)?meeting"),
    ("other", 5.0, r"\b(?:sustainability|corporate\s+responsibility|ESG|non-?financial)\s+report|\bnachhaltigkeitsbericht|\brapport\s+(?:de\s+)?durabilité|\binforme\s+de\s+sostenibilidad"),
    ("other", 5.0, r"\binforme\s+anual\s+(?:de\s+gobierno|sobre\s+remuneraciones)|\bvergütungsbericht|\brapport\s+(?:sur\s+le\s+gouvernement|de\s+gouvernance)|\bestado\s+de\s+información\s+no\s+financiera|\bdéclaration\s+de\s+performance\s+extra"),
    ("other", 4.0, r"\bproxy\s+statement|\bschedule\s+14a\b|\bprospectus\b|\bcorporate\s+governance\s+(?:report|statement)|\bcode\s+of\s+conduct"),
)  # fmt: skip
"""For the text of the first pages."""
