# ruff: noqa: E501 - a report is easier to take in with its lines unbroken
"""The invented reports: one half to work with, one half that was kept aside while reading was written."""

from decimal import Decimal

from reportlab.lib.pagesizes import A4, landscape

from tests.support.report_set import KINDS, Look, Report, french, german, swiss
from tests.support.statement_layouts import ENGLISH_IFRS, ENGLISH_US, FRENCH, GERMAN
from tests.support.statement_layouts_2 import BANK_GERMAN, BANK_US, INSURER, SPANISH
from tests.support.statement_model import Figures, Size, bank, insurer, maker


def _each(figures: Figures) -> dict[str, Figures]:
    return dict.fromkeys(KINDS, figures)


def _ends(days: tuple[str, ...], *, two_balances: bool = False) -> dict[str, tuple[str, ...]]:
    return {kind: days[-2:] if two_balances and kind == "balance_sheet" else days for kind in KINDS}


def _titled(income: str, balance: str, cash: str, *lines: str) -> dict[str, tuple[str, ...]]:
    return {kind: (title, *lines) for kind, title in zip(KINDS, (income, balance, cash), strict=True)}


def _heads(*heads: str, balance: int | None = None) -> dict[str, tuple[str, ...]]:
    return {kind: heads[: balance or len(heads)] if kind == "balance_sheet" else heads for kind in KINDS}


YEARS = ("2020-12-31", "2021-12-31", "2022-12-31")
PARENT_ONLY = (
    "Schedule I \u2013 Condensed Financial Information of Registrant (Parent Company Only)",
    "Condensed Balance Sheets", "(in thousands)", "December 31|2022|2021",
    "Cash|1,204|903", "Investment in subsidiaries|83,400|80,112", "Total assets|84,604|81,015",
    "Accounts payable|402|388", "Total current liabilities|402|388", "Long-term debt|9,000|9,000",
    "Retained earnings|75,202|71,627", "Total stockholders' equity|75,202|71,627",
    "Total liabilities and stockholders' equity|84,604|81,015",
)  # fmt: skip
FIVE_YEARS = (
    "Selected financial data", "(in millions, except per share data)", "|2022|2021|2020|2019",
    "Net sales|9,120|8,804|8,650|8,401", "Operating income|820|790|760|701", "Net income|610|590|570|520",
    "Total assets|12,200|11,800|11,500|11,100", "Long-term debt|2,000|2,100|2,050|1,990",
)  # fmt: skip


def worked_with() -> list[Report]:
    """The half that reading was tried on."""
    return [
        Report(
            "HARROW_US", "Harrow Tools, Inc.",
            ("UNITED STATES SECURITIES AND EXCHANGE COMMISSION", "FORM 10-K", "Harrow Tools, Inc.",
             "For the fiscal year ended December 31, 2022"),
            ENGLISH_US, _each(maker(Size(11, 9_000))), _ends(YEARS, two_balances=True), "USD", 1_000_000,
            Look(
                _titled("Consolidated Statements of Income", "Consolidated Balance Sheets",
                        "Consolidated Statements of Cash Flows", "(Dollars in millions, except per share amounts)"),
                _heads("2022", "2021", "2020", balance=2), dollar="$",
            ),
            before=(FIVE_YEARS,), after=(PARENT_ONLY,),
        ),
        Report(
            "MULDENTAL_DE", "Muldental Werke AG",
            ("Muldental Werke AG", "Geschäftsbericht 2022", "Geschäftsjahr vom 1. Januar bis zum 31. Dezember 2022"),
            GERMAN, _each(maker(Size(12, 4_200_000, 2))), _ends(YEARS[1:]), "EUR", 1_000,
            Look(
                _titled("Konzern-Gewinn- und Verlustrechnung", "Konzernbilanz", "Konzern-Kapitalflussrechnung",
                        "der Muldental Werke AG zum 31. Dezember 2022"),
                _heads("2022\nTEUR", "2021\nTEUR"), form=german, notes="Anhang",
            ),
        ),
        Report(
            "CANAL_FR", "Canal du Nord SA",
            ("Canal du Nord SA", "Document d'enregistrement universel 2022", "Rapport financier annuel",
             "Exercice clos le 31 décembre 2022"),
            FRENCH, _each(maker(Size(13, 5_300, 2, 1))), _ends(YEARS[1:]), "EUR", 1_000_000,
            Look(
                _titled("Compte de résultat consolidé", "État de la situation financière consolidée",
                        "Tableau des flux de trésorerie consolidés", "(en millions d\u2019euros)"),
                _heads("31 décembre\n2022", "31 décembre\n2021"), form=french, notes="Notes",
            ),
        ),
        Report(
            "PRAIRIE_BANK", "Prairie Trust Bancorp",
            ("FORM 10-K", "Prairie Trust Bancorp", "For the fiscal year ended December 31, 2022"),
            BANK_US, _each(bank(Size(14, 88_000_000))), _ends(YEARS, two_balances=True), "USD", 1_000,
            Look(
                _titled("CONSOLIDATED STATEMENTS OF INCOME", "CONSOLIDATED BALANCE SHEETS",
                        "CONSOLIDATED STATEMENTS OF CASH FLOWS", "(in thousands, except per share data)"),
                _heads("2022", "2021", "2020", balance=2), dollar="$",
            ),
        ),
        Report(
            "TIDEWATER_INS", "Tidewater Assurance plc",
            ("Tidewater Assurance plc", "Annual Report and Accounts 2022", "for the year ended 31 December 2022"),
            INSURER, _each(insurer(Size(15, 41_000, 2, 1))), _ends(YEARS[1:]), "GBP", 1_000_000,
            Look(
                _titled("Consolidated income statement", "Consolidated statement of financial position",
                        "Consolidated statement of cash flows", "for the year ended 31 December 2022"),
                _heads("2022\n\u00a3m", "2021\n\u00a3m"), notes="Note",
            ),
        ),
        Report(
            "KITE_INTERIM", "Kite Instruments, Inc.",
            ("FORM 10-Q", "QUARTERLY REPORT PURSUANT TO SECTION 13", "Kite Instruments, Inc.",
             "For the quarterly period ended September 30, 2022"),
            ENGLISH_US, _each(maker(Size(16, 700_000, 2))),
            {**_ends(("2021-09-30", "2022-09-30")), "balance_sheet": ("2021-12-31", "2022-09-30")}, "USD", 1_000,
            Look(
                _titled("Condensed Consolidated Statements of Operations (Unaudited)",
                        "Condensed Consolidated Balance Sheets (Unaudited)",
                        "Condensed Consolidated Statements of Cash Flows (Unaudited)",
                        "(in thousands, except per share data)"),
                {
                    "income_statement": ("Nine months ended\nSeptember 30,\n2022", "\nSeptember 30,\n2021"),
                    "balance_sheet": ("September 30,\n2022", "December 31,\n2021"),
                    "cash_flow": ("Nine months ended\nSeptember 30,\n2022", "\nSeptember 30,\n2021"),
                },
            ),
            kind="quarterly_report",
        ),
        Report(
            "LOTUS_ADR", "Lotus Digital Holdings Limited",
            ("Lotus Digital Holdings Limited", "FORM 20-F", "Annual report", "For the fiscal year ended December 31, 2022"),
            ENGLISH_IFRS, _each(maker(Size(17, 62_000_000, 2))), _ends(YEARS[1:]), "CNY", 1_000,
            Look(
                _titled("CONSOLIDATED STATEMENTS OF PROFIT OR LOSS", "CONSOLIDATED STATEMENTS OF FINANCIAL POSITION",
                        "CONSOLIDATED STATEMENTS OF CASH FLOWS", "(Amounts in thousands of RMB, except per share data)"),
                _heads("2022\nRMB", "2021\nRMB"), convenience=("2022\nUS$", Decimal("0.145")), ascending=True,
                size=landscape(A4),
            ),
        ),
    ]  # fmt: skip


def kept_aside() -> list[Report]:
    """The half that nobody looked at before the figures were reported."""
    return [
        Report(
            "SIERRA_ES", "Sierra Blanca S.A.",
            ("Sierra Blanca S.A.", "Informe anual 2022", "Cuentas anuales consolidadas del ejercicio terminado el 31 de diciembre de 2022"),
            SPANISH, _each(maker(Size(21, 830_000, 2))), _ends(YEARS[1:]), "EUR", 1_000,
            Look(
                _titled("Cuenta de pérdidas y ganancias consolidada", "Balance de situación consolidado",
                        "Estado de flujos de efectivo consolidado", "(miles de euros)"),
                _heads("31.12.2022", "31.12.2021"), form=german, notes="Nota",
            ),
        ),
        Report(
            "GRAT_BANK", "Gratbank AG",
            ("Gratbank AG", "Geschäftsbericht 2022", "31. Dezember 2022"),
            BANK_GERMAN, _each(bank(Size(22, 61_000, 2, 1))), _ends(YEARS[1:]), "CHF", 1_000_000,
            Look(
                _titled("Konsolidierte Erfolgsrechnung", "Konsolidierte Bilanz", "Konsolidierte Geldflussrechnung", "in Mio. CHF"),
                _heads("2022", "2021"), form=swiss, notes="Anhang", change=True,
            ),
            order=("balance_sheet", "income_statement", "cash_flow"),
        ),
        Report(
            "ORCHARD_RETAIL", "Orchard Row Stores, Inc.",
            ("FORM 10-K", "Orchard Row Stores, Inc.", "For the fiscal year ended January 28, 2023"),
            ENGLISH_US, _each(maker(Size(23, 3_100_000))), _ends(("2021-01-30", "2022-01-29", "2023-01-28"), two_balances=True),
            "USD", 1_000,
            Look(
                _titled("Consolidated Statements of Earnings", "Consolidated Balance Sheets", "Consolidated Statements of Cash Flows",
                        "(In thousands, except per share data)"),
                _heads("January 28,\n2023", "January 29,\n2022", "January 30,\n2021", balance=2), ascending=True, dollar="$",
                split=frozenset({"balance_sheet", "cash_flow"}), footnote="1", font="Times-Roman",
            ),
            after=(PARENT_ONLY,),
        ),
        Report(
            "BRACKEN_IFRS", "Bracken Foods plc",
            ("Bracken Foods plc", "Annual Report 2022", "for the year ended 31 December 2022"),
            ENGLISH_IFRS, _each(maker(Size(24, 1_250, 2, 1))), _ends(YEARS[1:]), "GBP", 1_000_000,
            Look(
                _titled("Group income statement", "Group balance sheet", "Group cash flow statement", "for the year ended 31 December 2022"),
                _heads("2022\n\u00a3m", "2021\n\u00a3m"), notes="Notes", change=True,
            ),
            after=(("Company balance sheet", "as at 31 December 2022", "|Notes|2022|2021", "||\u00a3m|\u00a3m",
                    "Investments in subsidiaries|2|900.0|900.0", "Trade and other receivables|3|41.0|38.2", "Cash at bank|| 2.0|1.0",
                    "Total assets||943.0|939.2", "Borrowings|4|(300.0)|(310.0)", "Net assets||643.0|629.2",
                    "Share capital||40.0|40.0", "Retained earnings||603.0|589.2", "Total equity||643.0|629.2"),),
        ),
        Report(
            "BOCAGE_SCAN", "Bocage Industries SA",
            ("Bocage Industries SA", "Rapport annuel 2022", "Exercice clos le 31 décembre 2022"),
            FRENCH, _each(maker(Size(25, 412_000, 2))), _ends(YEARS[1:]), "EUR", 1_000,
            Look(
                _titled("Compte de résultat consolidé", "Bilan consolidé", "Tableau des flux de trésorerie consolidés", "(en milliers d\u2019euros)"),
                _heads("2022", "2021"), form=french, scanned=True,
            ),
        ),
        Report(
            "HARBOUR_INS", "Harbour Mutual Insurance plc",
            ("Harbour Mutual Insurance plc", "Annual Report 2022", "for the year ended 31 December 2022"),
            INSURER, _each(insurer(Size(26, 7_400_000, 2))), _ends(YEARS[1:]), "EUR", 1_000,
            Look(
                _titled("Consolidated statement of profit or loss", "Consolidated statement of financial position",
                        "Consolidated cash flow statement", "in thousands of euros"),
                _heads("2022", "2021"), ascending=True, size=landscape(A4), type_size=8.0,
            ),
        ),
        Report(
            "NORTHPORT_US", "Northport Controls Corporation",
            ("FORM 10-K", "Northport Controls Corporation", "For the fiscal year ended June 30, 2022"),
            ENGLISH_US, _each(maker(Size(27, 14_200))), _ends(("2020-06-30", "2021-06-30", "2022-06-30"), two_balances=True),
            "USD", 1_000_000,
            Look(
                _titled("CONSOLIDATED STATEMENTS OF OPERATIONS", "CONSOLIDATED BALANCE SHEETS", "CONSOLIDATED STATEMENTS OF CASH FLOWS",
                        "Years ended June 30 (in millions, except per share data)"),
                _heads("2022", "2021", "2020", balance=2), footnote="2", change=True,
            ),
            before=(FIVE_YEARS,),
        ),
    ]  # fmt: skip
