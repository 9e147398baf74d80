import pytest

from consumers.filings.classify import classify, fiscal_year
from tests.support.class_cases import KEPT_ASIDE, WORKED_WITH


@pytest.mark.parametrize(
    ("url", "link_text", "kind", "year"),
    [
        ("https://e.com/files/annual-report-2023.pdf", "", "annual_report", 2023),
        ("https://e.com/2019/03/AnnualReport2018.pdf", "", "annual_report", 2018),
        ("https://e.com/x/5c8b852a", "Form 10-K for fiscal 2022", "annual_report", 2022),
        ("https://e.com/GB_2021_de.pdf", "Geschäftsbericht 2021", "annual_report", 2021),
        ("https://e.com/rapport-annuel-2020.pdf", "", "annual_report", 2020),
        ("https://e.com/informe_anual_2022.pdf", "", "annual_report", 2022),
        ("https://e.com/q1-2024-10-Q.pdf", "", "quarterly_report", 2024),
        ("https://e.com/halbjahresbericht-2023.pdf", "", "quarterly_report", 2023),
        ("https://e.com/rapport-semestriel-2023.pdf", "", "quarterly_report", 2023),
        ("https://e.com/informe-trimestral-2023.pdf", "", "quarterly_report", 2023),
        ("https://e.com/FY23-results-presentation.pdf", "", "presentation", 2023),
        ("https://e.com/praesentation-2023.pdf", "Präsentation", "presentation", 2023),
        ("https://e.com/pr.pdf", "Press release: full-year results 2023", "press_release", 2023),
        ("https://e.com/medienmitteilung-2023.pdf", "", "press_release", 2023),
        ("https://e.com/sustainability-report-2023.pdf", "", "other", 2023),
        ("https://e.com/notice-of-annual-general-meeting-2023.pdf", "", "other", 2023),
        ("https://e.com/4f3a.pdf", "", "other", None),
    ],
)
def test_types_and_years_by_name(url: str, link_text: str, kind: str, year: int | None) -> None:
    found = classify(url, link_text=link_text)
    assert (found.document_type, found.fiscal_year) == (kind, year)
    assert found.reasons


def test_the_text_overrules_the_name_and_the_reasons_say_so() -> None:
    found = classify(
        "https://e.com/annual-report-2023.pdf",
        head="SECURITIES AND EXCHANGE COMMISSION\nFORM 10-Q\n☒ QUARTERLY REPORT PURSUANT TO SECTION 13",
    )
    assert found.document_type == "quarterly_report"
    assert found.reasons[0] == "text: form 10-q"
    assert any(reason.startswith("against it") for reason in found.reasons)


def test_nothing_known_is_a_guess() -> None:
    found = classify("https://e.com/")
    assert found.document_type == "other"
    assert found.confidence < 0.5


def test_more_evidence_is_more_confidence() -> None:
    by_name = classify("https://e.com/annual-report-2023.pdf").confidence
    both = classify("https://e.com/annual-report-2023.pdf", link_text="Annual report 2023").confidence
    torn = classify("https://e.com/annual-report-2023-presentation.pdf").confidence
    assert torn < by_name < both <= 1


def test_the_year_of_the_cover_wins_over_the_year_of_the_upload() -> None:
    assert fiscal_year("ar.pdf", folder="/uploads/2024/05", head="for the year ended 31 March 2023") == 2023
    assert fiscal_year("2015-02-20_Arden_FYR2014_AnnualReport.pdf") == 2014
    assert fiscal_year("ar.pdf", folder="/uploads/2024/05") == 2024


@pytest.mark.parametrize("language", ["en", "de", "fr", "es"])
def test_documents_of_each_language_are_told_apart(language: str) -> None:
    cases = [case for case in (*WORKED_WITH, *KEPT_ASIDE) if case[0] == language]
    wrong = [
        (kind, url, link, head)
        for _, kind, url, link, head in cases
        if classify(url, link_text=link, head=head).document_type != kind
    ]
    assert len(wrong) <= 0.05 * len(cases), wrong
