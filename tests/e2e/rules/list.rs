//! Rules that go with columns, as a contract has them and as DuckDB and Python are asked for them.

use serde_json::{Map, Value, json};

/// A rule as the contract has it, and as DuckDB and Python are asked for it.
pub struct Rule {
    /// None for a rule of the table.
    pub column: Option<String>,
    pub yaml: String,
    pub asked: Value,
}

/// A column: its name, ODCS type, physical type and DuckDB type.
pub type Column = (String, &'static str, String, String);

pub fn column(name: &str, physical: &str) -> Column {
    let (logical, duck) = match physical {
        "string" => ("string", "VARCHAR".to_owned()),
        "bigint" => ("integer", "BIGINT".to_owned()),
        "double" => ("number", "DOUBLE".to_owned()),
        "boolean" => ("boolean", "BOOLEAN".to_owned()),
        "timestamptz" => ("timestamp", "TIMESTAMP".to_owned()),
        decimal => ("number", decimal.to_uppercase()),
    };
    (name.to_owned(), logical, physical.to_owned(), duck)
}

pub fn measured(
    rules: &mut Vec<Rule>,
    column: Option<&str>,
    yaml: String,
    kind: &str,
    mut asked: Value,
) {
    asked["id"] = json!(format!("r{}", rules.len()));
    asked["kind"] = json!(kind);
    if let Some(column) = column {
        asked["column"] = json!(column);
    }
    rules.push(Rule {
        column: column.map(str::to_owned),
        yaml: format!("{{ id: r{}, severity: warn, {yaml} }}", rules.len()),
        asked,
    });
}

pub fn custom(arguments: &str) -> String {
    format!("type: custom, engine: tarn, implementation: {{ {arguments} }}, mustBe: 0")
}

/// Every rule that goes with the columns.
pub fn rules_of(columns: &[Column], samples: &[Map<String, Value>]) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (name, _, physical, _) in columns {
        of_any_column(&mut rules, name);
        if !matches!(physical.as_str(), "double" | "timestamptz") {
            of_values(&mut rules, name, samples);
        }
        match physical.as_str() {
            "string" => of_texts(&mut rules, name),
            "bigint" | "double" => of_numbers(&mut rules, name),
            decimal if decimal.starts_with("decimal") => of_numbers(&mut rules, name),
            _ => {}
        }
    }
    let numbers: Vec<&str> = columns
        .iter()
        .filter(|(_, _, physical, _)| physical == "bigint" || physical.starts_with("decimal"))
        .map(|(name, ..)| name.as_str())
        .collect();
    if let [first, second, ..] = numbers.as_slice() {
        of_two_numbers(&mut rules, first, second);
    }
    measured(
        &mut rules,
        None,
        "metric: rowCount, mustBe: 0".into(),
        "rowCount",
        json!({}),
    );
    measured(
        &mut rules,
        None,
        custom("kind: columnCount"),
        "columnCount",
        json!({}),
    );
    rules
}

fn of_any_column(rules: &mut Vec<Rule>, name: &str) {
    let add = |rules: &mut Vec<Rule>, yaml: String, kind: &str, asked: Value| {
        measured(rules, Some(name), yaml, kind, asked);
    };
    add(
        rules,
        "metric: nullValues, mustBe: 0".into(),
        "nullValues",
        json!({}),
    );
    add(
        rules,
        custom("kind: completeness"),
        "completeness",
        json!({}),
    );
    add(
        rules,
        "metric: duplicateValues, mustBe: 0".into(),
        "duplicateValues",
        json!({}),
    );
    for kind in ["distinctCount", "uniquenessRatio", "entropy"] {
        add(rules, custom(&format!("kind: {kind}")), kind, json!({}));
    }
}

/// Rules about some values that occur.
fn of_values(rules: &mut Vec<Rule>, name: &str, samples: &[Map<String, Value>]) {
    let add = |rules: &mut Vec<Rule>, yaml: String, kind: &str, asked: Value| {
        measured(rules, Some(name), yaml, kind, asked);
    };
    let mut values: Vec<String> = samples
        .iter()
        .filter_map(|row| match row.get(name)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        })
        .filter(|text| {
            text.chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
        })
        .take(3)
        .collect();
    values.dedup();
    let quoted: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
    if values.is_empty() {
        return;
    }
    let list = quoted.join(", ");
    add(
        rules,
        format!("metric: invalidValues, arguments: {{ validValues: [{list}] }}, mustBe: 0"),
        "validValues",
        json!({"values": values}),
    );
    add(
        rules,
        custom(&format!("kind: forbiddenValues, values: [{list}]")),
        "forbiddenValues",
        json!({"values": values}),
    );
    add(
        rules,
        custom(&format!(
            "kind: distribution, shares: {{ {}: 0.25 }}",
            quoted[0]
        )),
        "distribution",
        json!({"shares": {&values[0]: 0.25}}),
    );
}

fn of_texts(rules: &mut Vec<Rule>, name: &str) {
    let add = |rules: &mut Vec<Rule>, yaml: String, kind: &str, asked: Value| {
        measured(rules, Some(name), yaml, kind, asked);
    };
    add(
        rules,
        "metric: missingValues, arguments: { missingValues: [null, \"\", \"-\"] }, mustBe: 0"
            .into(),
        "missingValues",
        json!({"values": ["", "-"]}),
    );
    add(rules, custom("kind: blankValues"), "blankValues", json!({}));
    add(
        rules,
        custom("kind: dataType, type: integer"),
        "dataType",
        json!({}),
    );
    add(
        rules,
        "metric: invalidValues, arguments: { pattern: \"^[A-Za-z]{2,}\" }, mustBe: 0".into(),
        "pattern",
        json!({"pattern": "^[A-Za-z]{2,}"}),
    );
    add(
        rules,
        custom("kind: personalData, find: [email, card, ip]"),
        "personalData",
        json!({"find": ["email", "card", "ip"]}),
    );
}

fn of_two_numbers(rules: &mut Vec<Rule>, first: &str, second: &str) {
    for operator in ["<", ">=", "=", "!="] {
        measured(
            rules,
            Some(first),
            custom(&format!(
                "kind: comparison, operator: \"{operator}\", column: {second}"
            )),
            "comparison",
            json!({"operator": operator, "other": second}),
        );
    }
    measured(
        rules,
        Some(first),
        custom(&format!("kind: rowSum, plus: [{second}]")),
        "rowSum",
        json!({"plus": [second]}),
    );
    measured(
        rules,
        None,
        format!(
            "metric: duplicateValues, arguments: {{ properties: [{first}, {second}] }}, mustBe: 0"
        ),
        "duplicateValues",
        json!({"columns": [first, second]}),
    );
    measured(
        rules,
        None,
        format!(
            "type: sql, query: \"SELECT COUNT(*) FROM ${{object}} WHERE {first} > {second}\", mustBe: 0"
        ),
        "sql",
        json!({"query": format!("SELECT count(*) FROM t WHERE {first} > {second}")}),
    );
}

fn of_numbers(rules: &mut Vec<Rule>, name: &str) {
    let on = Some(name);
    for kind in ["min", "max", "mean", "standardDeviation", "sum", "median"] {
        measured(rules, on, custom(&format!("kind: {kind}")), kind, json!({}));
    }
    for p in [0.05, 0.9] {
        measured(
            rules,
            on,
            custom(&format!("kind: quantile, p: {p}")),
            "quantile",
            json!({"p": p}),
        );
    }
    for (method, limit) in [("mad", 3.5), ("iqr", 1.5), ("medianMultiple", 2.0)] {
        measured(
            rules,
            on,
            custom(&format!("kind: outlier, method: {method}, limit: {limit}")),
            "outlier",
            json!({"method": method, "limit": limit}),
        );
    }
}
