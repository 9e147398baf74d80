from consumers.filings.sitemap import MAX_SITEMAPS, is_sitemap, read_sitemap

SITE = "https://www.example.com/investors/"
PAGES = b"""<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
  <url><loc> https://www.example.com/investors/reports?a=1&amp;b=2 </loc></url>
  <url><loc>https://www.example.com/products/pump</loc></url>
  <url><loc>https://www.example.com/files/annual-report-2023.pdf</loc></url>
  <url><loc>https://elsewhere.example.org/investors/</loc></url>
  <url><loc>"&gt;&lt;a href="https://www.example.com/investors/injected</loc></url>
</urlset>"""


def test_a_list_of_pages() -> None:
    assert is_sitemap(PAGES)
    listed = read_sitemap(PAGES, "https://www.example.com/sitemap.xml", SITE)
    pages = [page.url for page in listed.links.pages]
    assert pages[0] == "https://www.example.com/investors/reports?a=1&b=2"
    assert "https://www.example.com/investors/injected" not in pages
    assert all(page.startswith("https://www.example.com/") for page in pages)
    assert [found.url for found in listed.links.documents] == ["https://www.example.com/files/annual-report-2023.pdf"]
    assert not listed.sitemaps


def test_an_index_of_sitemaps() -> None:
    entries = b"".join(b"<sitemap><loc>https://www.example.com/s%d.xml</loc></sitemap>" % i for i in range(50))
    index = b'<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">' + entries + b"</sitemapindex>"
    assert is_sitemap(index)
    listed = read_sitemap(index, "https://www.example.com/sitemap.xml", SITE)
    assert listed.sitemaps == tuple(f"https://www.example.com/s{i}.xml" for i in range(MAX_SITEMAPS))
    assert not listed.links.pages


def test_a_page_is_no_sitemap() -> None:
    assert not is_sitemap(b"<html><body><p>&lt;urlset&gt;</p></body></html>")
