"""More layouts: Spanish, and the statements of banks and insurers."""

SPANISH = {
    "income_statement": """
Importe neto de la cifra de negocios > revenue
Coste de ventas > -cost_of_revenue
Margen bruto > gross_profit
Gastos de venta > -selling_expense
Gastos generales y de administración > -general_admin_expense
Gastos de investigación y desarrollo > -research_and_development
Otros ingresos de explotación > other_operating_income
Resultado de explotación > operating_income
Ingresos financieros > interest_income
Gastos financieros > -interest_expense
Resultado antes de impuestos > pretax_income
Impuesto sobre beneficios > -income_tax
Resultado consolidado del ejercicio > net_income
Atribuible a los accionistas de la sociedad dominante > net_income_parent
Atribuible a participaciones no dominantes > net_income_nci
Beneficio básico por acción (euros) > eps_basic
Beneficio diluido por acción (euros) > eps_diluted
""",
    "balance_sheet": """
ACTIVO
Inmovilizado material > ppe_net
Activos por derecho de uso > right_of_use_assets
Fondo de comercio > goodwill
Otros activos intangibles > intangible_assets
Activos por impuesto diferido > deferred_tax_assets
Total activo no corriente > total_non_current_assets
Existencias > inventories
Deudores comerciales y otras cuentas a cobrar > receivables
Otros activos financieros corrientes > short_term_investments
Otros activos corrientes > other_current_assets
Efectivo y otros activos líquidos equivalentes > cash
Total activo corriente > total_current_assets
Total activo > total_assets
PATRIMONIO NETO Y PASIVO
Capital social > share_capital
Prima de emisión > additional_paid_in_capital
Ganancias acumuladas > retained_earnings
Patrimonio neto atribuible a los accionistas de la sociedad dominante > equity_parent
Participaciones no dominantes > non_controlling_interests
Total patrimonio neto > total_equity
Deudas con entidades de crédito a largo plazo > long_term_debt
Pasivos por arrendamiento no corrientes > lease_liabilities_non_current
Obligaciones por pensiones > pension_liabilities
Pasivos por impuesto diferido > deferred_tax_liabilities
Total pasivo no corriente > total_non_current_liabilities
Proveedores > accounts_payable
Deudas con entidades de crédito a corto plazo > short_term_debt
Pasivos por impuesto corriente > income_tax_payable
Otros pasivos corrientes > other_current_liabilities
Total pasivo corriente > total_current_liabilities
Total patrimonio neto y pasivo > total_liabilities_and_equity
""",
    "cash_flow": """
Resultado del ejercicio > net_income
Amortización del inmovilizado > depreciation_amortization
Pagos basados en acciones > share_based_compensation
Impuestos diferidos > cf_deferred_tax
Deudores y otras cuentas a cobrar > -change_in_receivables
Existencias > -change_in_inventories
Acreedores y otras cuentas a pagar > change_in_payables
Flujos netos de efectivo de las actividades de explotación > cfo
Pagos por inversiones en inmovilizado material > -capex
Adquisición de filiales > -acquisitions
Cobros por desinversiones en inmovilizado material > disposals_of_ppe
Flujos netos de efectivo de las actividades de inversión > cfi
Obtención de préstamos > debt_issued
Devolución de préstamos > -debt_repaid
Dividendos pagados > -dividends_paid
Adquisición de acciones propias > -share_repurchases
Flujos netos de efectivo de las actividades de financiación > cff
Efecto de las variaciones de los tipos de cambio > fx_effect
Aumento neto del efectivo y equivalentes > net_change_in_cash
Efectivo y equivalentes al inicio del ejercicio > cash_begin
Efectivo y equivalentes al final del ejercicio > cash_end
""",
}
BANK_US = {
    "income_statement": """
Interest income
  Total interest income > bank_interest_income
Interest expense
  Total interest expense > bank_interest_expense
Net interest income > net_interest_income
Noninterest income
  Service charges and fees > fee_income
  Trading revenue > trading_income
Total net revenue > revenue
Provision for credit losses > provision_for_credit_losses
Noninterest expense
  Salaries and employee benefits > personnel_expense
  Occupancy, equipment and other > general_admin_expense
    Total noninterest expense > noninterest_expense
Income before income taxes > pretax_income
Income tax expense > income_tax
Net income > net_income
Earnings per common share
  Basic > eps_basic
  Diluted > eps_diluted
""",
    "balance_sheet": """
Assets
Cash and due from banks > cash
Federal funds sold and securities purchased under resale agreements > loans_to_banks
Loans, net > loans_net
Investment securities > securities
Premises and equipment > ppe_net
Goodwill > goodwill
Total assets > total_assets
Liabilities
Deposits > deposits
Federal funds purchased and securities sold under repurchase agreements > due_to_banks
Long-term debt > debt_securities_issued
Subordinated notes > subordinated_debt
Total liabilities > total_liabilities
Stockholders\u2019 equity
Common stock > share_capital
Retained earnings > retained_earnings
Total stockholders\u2019 equity > total_equity
Total liabilities and stockholders\u2019 equity > total_liabilities_and_equity
""",
    "cash_flow": """
Operating activities
Net income > net_income
Adjustments to reconcile net income to net cash:
Depreciation and amortization > depreciation_amortization
Provision for credit losses > provision_for_credit_losses
Other assets > -change_in_receivables
Other liabilities > change_in_payables
Net cash provided by operating activities > cfo
Investing activities
Purchases of investment securities > -purchases_of_investments
Proceeds from sales and maturities of investment securities > sales_of_investments
Purchases of premises and equipment > -capex
Net cash used in investing activities > cfi
Financing activities
Proceeds from long-term borrowings > debt_issued
Dividends paid > -dividends_paid
Net cash provided by (used in) financing activities > cff
Net increase (decrease) in cash and due from banks > net_change_in_cash
Cash and due from banks at the beginning of the period > cash_begin
Cash and due from banks at the end of the period > cash_end
""",
}
BANK_GERMAN = {
    "income_statement": """
Zins- und Diskontertrag > bank_interest_income
Zinsaufwand > -bank_interest_expense
Netto-Erfolg aus dem Zinsengeschäft > net_interest_income
Erfolg aus dem Kommissions- und Dienstleistungsgeschäft > fee_income
Erfolg aus dem Handelsgeschäft > trading_income
Betriebsertrag > revenue
Wertberichtigungen für Kreditrisiken > -provision_for_credit_losses
Personalaufwand > -personnel_expense
Sachaufwand > -general_admin_expense
Geschäftsaufwand > -noninterest_expense
Ergebnis vor Steuern > pretax_income
Steuern > -income_tax
Konzerngewinn > net_income
""",
    "balance_sheet": """
Aktiven
Flüssige Mittel > cash
Forderungen gegenüber Banken > loans_to_banks
Forderungen gegenüber Kunden > loans_net
Finanzanlagen > securities
Sachanlagen > ppe_net
Goodwill > goodwill
Total Aktiven > total_assets
Passiven
Verpflichtungen aus Kundeneinlagen > deposits
Verpflichtungen gegenüber Banken > due_to_banks
Anleihen und Pfandbriefdarlehen > debt_securities_issued
Nachrangige Darlehen > subordinated_debt
Total Fremdkapital > total_liabilities
Aktienkapital > share_capital
Gewinnreserven > retained_earnings
Total Eigenkapital > total_equity
Total Passiven > total_liabilities_and_equity
""",
    "cash_flow": """
Konzerngewinn > net_income
Abschreibungen auf Sachanlagen > depreciation_amortization
Wertberichtigungen für Kreditrisiken > provision_for_credit_losses
Übrige Aktiven > -change_in_receivables
Übrige Passiven > change_in_payables
Mittelfluss aus Geschäftstätigkeit > cfo
Kauf von Wertpapieren > -purchases_of_investments
Verkauf von Wertpapieren > sales_of_investments
Investitionen in Sachanlagen > -capex
Mittelfluss aus Investitionstätigkeit > cfi
Aufnahme von Darlehen > debt_issued
Dividendenausschüttung > -dividends_paid
Mittelfluss aus Finanzierungstätigkeit > cff
Veränderung der flüssigen Mittel > net_change_in_cash
Flüssige Mittel am Anfang des Jahres > cash_begin
Flüssige Mittel am Ende des Jahres > cash_end
""",
}
INSURER = {
    "income_statement": """
Income
Net earned premiums > premiums_earned
Net investment income > net_investment_income
Fee income > fee_income
Total revenue > revenue
Expenses
Claims and benefits incurred > -claims_incurred
Acquisition costs > -acquisition_costs
Administrative expenses > -general_admin_expense
Finance costs > -interest_expense
Total claims and expenses > -total_benefits_and_expenses
Profit before tax > pretax_income
Tax expense > -income_tax
Profit for the year > net_income
Earnings per share
Basic (pence per share) > eps_basic
Diluted (pence per share) > eps_diluted
""",
    "balance_sheet": """
Assets
Goodwill > goodwill
Deferred acquisition costs > deferred_acquisition_costs
Reinsurance assets > reinsurance_assets
Financial investments > total_investments
Insurance and other receivables > receivables
Cash and cash equivalents > cash
Total assets > total_assets
Equity
Share capital > share_capital
Share premium > additional_paid_in_capital
Retained earnings > retained_earnings
Total equity > total_equity
Liabilities
Insurance liabilities > insurance_liabilities
Unearned premiums > unearned_premiums
Borrowings > long_term_debt
Trade and other payables > trade_and_other_payables
Total liabilities > total_liabilities
Total equity and liabilities > total_liabilities_and_equity
""",
    "cash_flow": """
Cash flows from operating activities
Profit for the year > net_income
Depreciation and amortisation > depreciation_amortization
Change in insurance and other receivables > -change_in_receivables
Net cash flows from operating activities > cfo
Cash flows from investing activities
Purchases of financial investments > -purchases_of_investments
Proceeds from sale of financial investments > sales_of_investments
Purchase of property and equipment > -capex
Net cash flows from investing activities > cfi
Cash flows from financing activities
Proceeds from borrowings > debt_issued
Dividends paid > -dividends_paid
Net cash flows from financing activities > cff
Net (decrease)/increase in cash and cash equivalents > net_change_in_cash
Cash and cash equivalents at 1 January > cash_begin
Cash and cash equivalents at 31 December > cash_end
""",
}
