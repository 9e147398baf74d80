"""How invented companies print their statements: lines in four languages, for makers, banks and insurers.

A line is "label > key": the key is a figure of the model, "-key" is printed as a deduction; a line without a key is a
heading; two blanks before a label indent it.
"""

ENGLISH_US = {
    "income_statement": """
Net sales > revenue
Cost of products sold > cost_of_revenue
Gross margin > gross_profit
Selling and marketing > selling_expense
General and administrative > general_admin_expense
Research and development > research_and_development
Other income, net > other_operating_income
Operating income > operating_income
Interest income > interest_income
Interest expense > interest_expense
Income before provision for income taxes > pretax_income
Provision for income taxes > income_tax
Consolidated net income > net_income
Less: Net income attributable to noncontrolling interests > net_income_nci
Net income attributable to Harrow Tools, Inc. > net_income_parent
Net income per share attributable to Harrow Tools, Inc.:
  Basic > eps_basic
  Diluted > eps_diluted
""",
    "balance_sheet": """
ASSETS
Current assets:
  Cash and cash equivalents > cash
  Marketable securities > short_term_investments
  Accounts receivable, less allowance for doubtful accounts of $23 and $19 > receivables
  Inventories > inventories
  Prepaid expenses and other > other_current_assets
    Total current assets > total_current_assets
Property, plant and equipment, net > ppe_net
Operating lease right-of-use assets > right_of_use_assets
Goodwill > goodwill
Other intangible assets, net > intangible_assets
Deferred income taxes > deferred_tax_assets
    Total assets > total_assets
LIABILITIES AND EQUITY
Current liabilities:
  Accounts payable > accounts_payable
  Short-term borrowings and current portion of long-term debt > short_term_debt
  Income taxes payable > income_tax_payable
  Other accrued liabilities > other_current_liabilities
    Total current liabilities > total_current_liabilities
Long-term debt, less current portion > long_term_debt
Operating lease liabilities, noncurrent > lease_liabilities_non_current
Accrued pension benefits > pension_liabilities
Deferred income taxes > deferred_tax_liabilities
    Total liabilities > total_liabilities
Commitments and contingencies (Note 14)
Equity:
Common stock, $0.01 par value; 900 shares authorized > share_capital
Additional paid-in capital > additional_paid_in_capital
Retained earnings > retained_earnings
    Total Harrow Tools, Inc. shareholders\u2019 equity > equity_parent
Noncontrolling interests > non_controlling_interests
    Total equity > total_equity
    Total liabilities and equity > total_liabilities_and_equity
""",
    "cash_flow": """
Cash flows from operating activities:
  Consolidated net income > net_income
  Adjustments to reconcile net income to net cash provided by operating activities:
    Depreciation and amortization > depreciation_amortization
    Share-based compensation expense > share_based_compensation
    Deferred income taxes > cf_deferred_tax
  Changes in assets and liabilities:
    Accounts receivable > -change_in_receivables
    Inventories > -change_in_inventories
    Accounts payable > change_in_payables
      Net cash provided by operating activities > cfo
Cash flows from investing activities:
  Purchases of property, plant and equipment > -capex
  Acquisitions of businesses, net of cash acquired > -acquisitions
  Proceeds from sales of property, plant and equipment > disposals_of_ppe
      Net cash used in investing activities > cfi
Cash flows from financing activities:
  Proceeds from issuance of long-term debt > debt_issued
  Payments on long-term debt > -debt_repaid
  Dividends paid > -dividends_paid
  Repurchases of common stock > -share_repurchases
      Net cash used in financing activities > cff
Effect of exchange rate changes on cash > fx_effect
Net increase (decrease) in cash and cash equivalents > net_change_in_cash
Cash and cash equivalents at beginning of year > cash_begin
Cash and cash equivalents at end of year > cash_end
""",
}
ENGLISH_IFRS = {
    "income_statement": """
Continuing operations
Revenue > revenue
Cost of sales > -cost_of_revenue
Gross profit > gross_profit
Distribution costs > -selling_expense
Administrative expenses > -general_admin_expense
Research and development costs > -research_and_development
Other operating income > other_operating_income
Operating profit > operating_income
Finance income > interest_income
Finance costs > -interest_expense
Profit before taxation > pretax_income
Taxation > -income_tax
Profit for the year > net_income
Attributable to:
Owners of the parent > net_income_parent
Non-controlling interests > net_income_nci
 > net_income
Earnings per share (cents)
Basic > eps_basic
Diluted > eps_diluted
""",
    "balance_sheet": """
ASSETS
Non-current assets
Property, plant and equipment > ppe_net
Right-of-use assets > right_of_use_assets
Goodwill > goodwill
Intangible assets > intangible_assets
Deferred tax assets > deferred_tax_assets
 > total_non_current_assets
Current assets
Inventories > inventories
Trade and other receivables > receivables
Other financial assets > short_term_investments
Other current assets > other_current_assets
Cash and bank balances > cash
 > total_current_assets
Total assets > total_assets
EQUITY AND LIABILITIES
Equity
Share capital > share_capital
Share premium > additional_paid_in_capital
Retained earnings > retained_earnings
Equity attributable to owners of the parent > equity_parent
Non-controlling interests > non_controlling_interests
Total equity > total_equity
Non-current liabilities
Borrowings > long_term_debt
Lease liabilities > lease_liabilities_non_current
Retirement benefit obligations > pension_liabilities
Deferred tax liabilities > deferred_tax_liabilities
 > total_non_current_liabilities
Current liabilities
Trade payables > accounts_payable
Borrowings > short_term_debt
Current tax liabilities > income_tax_payable
Other payables > other_current_liabilities
 > total_current_liabilities
Total liabilities > total_liabilities
Total equity and liabilities > total_liabilities_and_equity
""",
    "cash_flow": """
Operating activities
Profit for the year > net_income
Adjustments for:
Depreciation and amortisation > depreciation_amortization
Share-based payments > share_based_compensation
Deferred tax > cf_deferred_tax
Increase in trade and other receivables > -change_in_receivables
Increase in inventories > -change_in_inventories
Increase in trade payables > change_in_payables
Net cash generated from operating activities > cfo
Investing activities
Purchase of property, plant and equipment > -capex
Acquisition of subsidiaries, net of cash acquired > -acquisitions
Proceeds from disposal of property, plant and equipment > disposals_of_ppe
Net cash used in investing activities > cfi
Financing activities
Proceeds from borrowings > debt_issued
Repayment of borrowings > -debt_repaid
Dividends paid to owners of the parent > -dividends_paid
Purchase of own shares > -share_repurchases
Net cash used in financing activities > cff
Net increase in cash and cash equivalents before exchange differences
Effects of exchange rate changes on cash and cash equivalents > fx_effect
Net change in cash and cash equivalents > net_change_in_cash
Cash and cash equivalents at 1 January > cash_begin
Cash and cash equivalents at 31 December > cash_end
""",
}
GERMAN = {
    "income_statement": """
Umsatzerlöse > revenue
Umsatzkosten > -cost_of_revenue
Bruttoergebnis vom Umsatz > gross_profit
Vertriebskosten > -selling_expense
Allgemeine Verwaltungskosten > -general_admin_expense
Forschungs- und Entwicklungskosten > -research_and_development
Sonstige betriebliche Erträge > other_operating_income
Betriebsergebnis (EBIT) > operating_income
Finanzerträge > interest_income
Finanzaufwendungen > -interest_expense
Ergebnis vor Ertragsteuern > pretax_income
Ertragsteuern > -income_tax
Konzernergebnis > net_income
davon entfallen auf Aktionäre der Muldental Werke AG > net_income_parent
davon entfallen auf nicht beherrschende Anteile > net_income_nci
Ergebnis je Aktie (unverwässert) in \u20ac > eps_basic
Ergebnis je Aktie (verwässert) in \u20ac > eps_diluted
""",
    "balance_sheet": """
Aktiva
Geschäfts- oder Firmenwerte > goodwill
Sonstige immaterielle Vermögenswerte > intangible_assets
Sachanlagen > ppe_net
Nutzungsrechte > right_of_use_assets
Latente Steueransprüche > deferred_tax_assets
Langfristige Vermögenswerte > total_non_current_assets
Vorräte > inventories
Forderungen aus Lieferungen und Leistungen > receivables
Sonstige finanzielle Vermögenswerte > short_term_investments
Sonstige Vermögenswerte > other_current_assets
Zahlungsmittel und Zahlungsmitteläquivalente > cash
Kurzfristige Vermögenswerte > total_current_assets
Summe Aktiva > total_assets
Passiva
Gezeichnetes Kapital > share_capital
Kapitalrücklage > additional_paid_in_capital
Gewinnrücklagen > retained_earnings
Eigenkapital der Aktionäre der Muldental Werke AG > equity_parent
Nicht beherrschende Anteile > non_controlling_interests
Eigenkapital > total_equity
Langfristige Finanzverbindlichkeiten > long_term_debt
Langfristige Leasingverbindlichkeiten > lease_liabilities_non_current
Pensionsrückstellungen > pension_liabilities
Latente Steuerschulden > deferred_tax_liabilities
Langfristige Schulden > total_non_current_liabilities
Verbindlichkeiten aus Lieferungen und Leistungen > accounts_payable
Kurzfristige Finanzverbindlichkeiten > short_term_debt
Ertragsteuerverbindlichkeiten > income_tax_payable
Sonstige Verbindlichkeiten > other_current_liabilities
Kurzfristige Schulden > total_current_liabilities
Summe Passiva > total_liabilities_and_equity
""",
    "cash_flow": """
Konzernergebnis > net_income
Abschreibungen auf immaterielle Vermögenswerte und Sachanlagen > depreciation_amortization
Aufwand aus anteilsbasierter Vergütung > share_based_compensation
Veränderung latenter Steuern > cf_deferred_tax
Veränderung der Forderungen aus Lieferungen und Leistungen > -change_in_receivables
Veränderung der Vorräte > -change_in_inventories
Veränderung der Verbindlichkeiten aus Lieferungen und Leistungen > change_in_payables
Cashflow aus betrieblicher Tätigkeit > cfo
Auszahlungen für Investitionen in Sachanlagen > -capex
Erwerb von Tochterunternehmen abzüglich erworbener Zahlungsmittel > -acquisitions
Einzahlungen aus Abgängen von Sachanlagen > disposals_of_ppe
Cashflow aus Investitionstätigkeit > cfi
Aufnahme von Finanzverbindlichkeiten > debt_issued
Tilgung von Finanzverbindlichkeiten > -debt_repaid
Gezahlte Dividenden > -dividends_paid
Erwerb eigener Aktien > -share_repurchases
Cashflow aus Finanzierungstätigkeit > cff
Wechselkursbedingte Veränderung der Zahlungsmittel > fx_effect
Veränderung der Zahlungsmittel und Zahlungsmitteläquivalente > net_change_in_cash
Zahlungsmittel und Zahlungsmitteläquivalente am Anfang des Geschäftsjahres > cash_begin
Zahlungsmittel und Zahlungsmitteläquivalente am Ende des Geschäftsjahres > cash_end
""",
}
FRENCH = {
    "income_statement": """
Chiffre d\u2019affaires > revenue
Coût des ventes > -cost_of_revenue
Marge brute > gross_profit
Frais commerciaux > -selling_expense
Frais administratifs > -general_admin_expense
Frais de recherche et développement > -research_and_development
Autres produits opérationnels > other_operating_income
Résultat opérationnel > operating_income
Produits financiers > interest_income
Charges financières > -interest_expense
Résultat avant impôt > pretax_income
Impôt sur le résultat > -income_tax
Résultat net de l\u2019ensemble consolidé > net_income
Part du groupe > net_income_parent
Intérêts minoritaires > net_income_nci
Résultat net par action (en euros) > eps_basic
Résultat net dilué par action (en euros) > eps_diluted
""",
    "balance_sheet": """
Goodwill > goodwill
Immobilisations incorporelles > intangible_assets
Immobilisations corporelles > ppe_net
Droits d\u2019utilisation > right_of_use_assets
Impôts différés actifs > deferred_tax_assets
Total actif non courant > total_non_current_assets
Stocks et en-cours > inventories
Créances clients > receivables
Actifs financiers courants > short_term_investments
Autres actifs courants > other_current_assets
Trésorerie et équivalents de trésorerie > cash
Total actif courant > total_current_assets
Total actif > total_assets
Capital > share_capital
Primes d\u2019émission > additional_paid_in_capital
Réserves et report à nouveau > retained_earnings
Capitaux propres \u2013 part du groupe > equity_parent
Intérêts minoritaires > non_controlling_interests
Capitaux propres > total_equity
Emprunts et dettes financières non courants > long_term_debt
Dettes locatives non courantes > lease_liabilities_non_current
Engagements de retraite > pension_liabilities
Impôts différés passifs > deferred_tax_liabilities
Total passif non courant > total_non_current_liabilities
Dettes fournisseurs > accounts_payable
Emprunts et dettes financières courants > short_term_debt
Dettes d\u2019impôt > income_tax_payable
Autres passifs courants > other_current_liabilities
Total passif courant > total_current_liabilities
Total passif et capitaux propres > total_liabilities_and_equity
""",
    "cash_flow": """
Résultat net consolidé > net_income
Dotations aux amortissements et provisions > depreciation_amortization
Paiements fondés sur des actions > share_based_compensation
Variation des impôts différés > cf_deferred_tax
Variation des créances clients > -change_in_receivables
Variation des stocks > -change_in_inventories
Variation des dettes fournisseurs > change_in_payables
Flux nets de trésorerie liés à l\u2019activité > cfo
Acquisitions d\u2019immobilisations corporelles et incorporelles > -capex
Acquisitions de filiales, nettes de la trésorerie acquise > -acquisitions
Cessions d\u2019immobilisations > disposals_of_ppe
Flux nets de trésorerie liés aux opérations d\u2019investissement > cfi
Émission d\u2019emprunts > debt_issued
Remboursements d\u2019emprunts > -debt_repaid
Dividendes versés aux actionnaires de la société mère > -dividends_paid
Rachat d\u2019actions propres > -share_repurchases
Flux nets de trésorerie liés aux opérations de financement > cff
Incidence des variations de change > fx_effect
Variation nette de la trésorerie > net_change_in_cash
Trésorerie à l\u2019ouverture > cash_begin
Trésorerie à la clôture > cash_end
""",
}
