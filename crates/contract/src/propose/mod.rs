//! From the measures of a column to what its contract could say, each proposal with its evidence.
//!
//! What the source guarantees is proposed as a rule that rejects. What only held for the rows that were
//! read is proposed as a rule that warns. Neither evidence nor rules show a value of a personal column.

pub mod names;

use super::rule::Severity;
use super::{DraftColumn, snake_case};
use names::Identifies;
use tarn_core::privacy::PersonalPattern;
use tarn_core::privacy::Protection;
use tarn_core::profile::ColumnProfile;
use tarn_core::schema::ColumnType;
use tarn_core::text::{count, plural};

/// What is known of the values of a column.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Their profile, with the distinct values counted, and named where they are few.
    pub profile: ColumnProfile,
    /// Whether the source has more rows than were read.
    pub partial: bool,
    /// What the source says about the column.
    pub declared: Declared,
    /// What its texts look like.
    pub texts: Texts,
    /// The column of another table that its values are in.
    pub reference: Option<Reference>,
    /// Whether a column of another table refers to this one.
    pub referred: bool,
}

/// What a source guarantees of a column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    /// No row is without a value.
    pub required: bool,
    /// No two rows have the same value.
    pub unique: bool,
    /// Characters of a text, by its declared type.
    pub max_length: Option<u64>,
}

/// What the texts of a column look like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    /// Rows whose text holds personal data, by what it is.
    pub personal: Vec<(PersonalPattern, u64)>,
    /// A regular expression that every text matches, where they have a shape in common.
    pub shape: Option<String>,
    /// Characters of the longest text.
    pub longest: u64,
    /// Texts that mean a missing value, including blanks; empty if there are too many to list.
    pub missing: Vec<String>,
}

/// A column whose values are in a column of another table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// `dataset.column`.
    pub to: String,
    /// Whether the source says so.
    pub declared: bool,
    /// Distinct values that were looked for, and those that were found.
    pub looked_for: u64,
    /// How many of them were found.
    pub found: u64,
    /// Why there is no rule about it, if there is none.
    pub without_rule: Option<String>,
}

/// What a draft proposes for a column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proposals {
    /// What was found, for people.
    pub notes: Vec<String>,
    /// How a personal column is to be treated.
    pub personal: Option<Personal>,
    /// `unique: true`, with its evidence.
    pub unique: Option<String>,
    /// `maxLength`, with its evidence.
    pub max_length: Option<(u64, String)>,
    /// `relationships`: `dataset.column`, with its evidence.
    pub relationship: Option<(String, String)>,
    /// The other rules.
    pub rules: Vec<ProposedRule>,
}

/// A personal column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Personal {
    /// Whom it points to.
    pub identifies: Identifies,
    /// None where the column's type or part in references allows none.
    pub protection: Option<Protection>,
    /// Why it is taken for personal.
    pub evidence: String,
}

/// A rule and why it is proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedRule {
    /// The evidence for it; empty if another comment has it.
    pub evidence: String,
    /// What it asks.
    pub asks: Asks,
    /// What happens where it is broken.
    pub severity: Severity,
}

/// What a proposed rule asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asks {
    /// No nulls.
    NoNulls,
    /// At most this many per cent of the rows lack a value. These texts count as missing; an empty list
    /// means the default one.
    Missing(Vec<String>, u64),
    /// At least this many per cent of the rows have a value.
    Complete(u64),
    /// No value twice.
    Unique,
    /// One of these values.
    OneOf(Vec<String>),
    /// A text that matches the regular expression.
    Pattern(String),
    /// No value below zero.
    NotNegative,
    /// A value of the column's one relationship.
    Reference,
}

/// A list of values is proposed if it has at most this many, and each occurs at least this often on
/// average.
const MOST_LISTED: usize = 24;
const ROWS_PER_LISTED: u64 = 20;
/// A longer text is a sentence, not the name of a category.
const LONGEST_LISTED: u64 = 40;
/// The values that statistical rules need.
const LEAST_VALUES: u64 = 20;
/// From this share of the values on, the column itself is personal; below it personal data is in free
/// text.
const MOSTLY: f64 = 0.8;
/// One in ten numbers of 13 to 19 digits passes the test of payment cards by chance.
const CARD_BY_CHANCE: f64 = 0.3;

/// A share of rows in per cent, with one digit after the decimal point.
fn percent(part: u64, all: u64) -> String {
    let share = 100.0 * part as f64 / all.max(1) as f64;
    match part {
        0 => "0 per cent".to_owned(),
        part if part == all => "100 per cent".to_owned(),
        // Never rounded to 0 or 100.
        _ => format!("{:.1} per cent", share.clamp(0.1, 99.9)),
    }
}

/// What to propose for a column of a table (both as the source names them).
pub fn propose(column: &DraftColumn, table: &str, evidence: &Evidence) -> Proposals {
    let profile = &evidence.profile;
    let values = profile.rows.saturating_sub(profile.nulls);
    let name = snake_case(&column.source_name);
    let mut found = Proposals::default();
    found.notes.push(summary(column, evidence, values));
    found.personal = personal(column, &name, &snake_case(table), evidence, values);
    if values == 0 {
        return found;
    }
    completeness(&mut found, column, evidence);
    uniqueness(&mut found, column, &name, evidence, values);
    if let Some(reference) = &evidence.reference {
        refer(&mut found, reference);
    }
    lengths(&mut found, evidence);
    // From here on the draft shows values.
    if found.personal.is_some() || column.primary_key || evidence.reference.is_some() {
        return found;
    }
    if column.ty == ColumnType::String {
        list(&mut found, &name, evidence, values);
        if let Some(shape) = &evidence.texts.shape
            && (values >= LEAST_VALUES)
        {
            found.rules.push(ProposedRule {
                evidence: format!("All {} match.", plural(values, "value")),
                asks: Asks::Pattern(shape.clone()),
                severity: Severity::Warn,
            });
        }
    }
    let is_number = matches!(
        column.ty,
        ColumnType::Int | ColumnType::Long | ColumnType::Double | ColumnType::Decimal { .. }
    );
    if is_number
        && values >= LEAST_VALUES
        && !names::is_signed(&name)
        && !names::is_key(&name)
        && profile.min.is_some_and(|least| least >= 0.0)
    {
        found.rules.push(ProposedRule {
            evidence: format!("None of {} is negative.", plural(values, "value")),
            asks: Asks::NotNegative,
            severity: Severity::Warn,
        });
    }
    found
}

fn summary(column: &DraftColumn, evidence: &Evidence, values: u64) -> String {
    let profile = &evidence.profile;
    let mut text = format!(
        "{} of {}{} have a value",
        count(values),
        if evidence.partial { "the first " } else { "" },
        plural(profile.rows, "row"),
    );
    // Lists are not counted.
    let counted = values > 0 && column.ty != ColumnType::StringList;
    if let Some(distinct) = profile.distinct.filter(|_| counted) {
        text += &format!(", {}", plural(distinct, "distinct value"));
    }
    for (rows, what) in [
        (profile.blanks, "blank"),
        (profile.sentinels, "texts that stand for no value"),
    ] {
        if rows > 0 {
            text += &format!("; {} of them {what}", count(rows));
        }
    }
    text + "."
}

fn pattern_words(pattern: PersonalPattern) -> &'static str {
    match pattern {
        PersonalPattern::Email => "an email address",
        PersonalPattern::Ip => "an IP address",
        PersonalPattern::Phone => "a telephone number",
        PersonalPattern::Card => "the number of a payment card",
        PersonalPattern::Iban => "an IBAN",
    }
}

fn personal(
    column: &DraftColumn,
    name: &str,
    table: &str,
    evidence: &Evidence,
    values: u64,
) -> Option<Personal> {
    let by_name = match column.personal {
        Some((identifies, protection)) => Some((identifies, protection)),
        None => names::personal(name, table),
    };
    let most = evidence
        .texts
        .personal
        .iter()
        .map(|&(pattern, rows)| (pattern, rows, rows as f64 / values.max(1) as f64))
        .filter(|&(pattern, rows, share)| {
            rows > 0 && (pattern != PersonalPattern::Card || share >= CARD_BY_CHANCE)
        })
        .max_by_key(|&(_, rows, _)| rows);
    let looks = most.map(|(pattern, rows, _)| {
        let shown = percent(rows, values);
        format!("{shown} of the values hold {}", pattern_words(pattern))
    });
    let by_value = most.map(|(pattern, _, share)| {
        let protection = match pattern {
            _ if share < MOSTLY => Protection::Redact,
            PersonalPattern::Ip => Protection::Generalise,
            _ => Protection::Pseudonymise,
        };
        (Identifies::Directly, protection)
    });
    let points_to_person =
        (column.primary_key || evidence.referred || evidence.reference.is_some())
            && names::is_key(name)
            && (names::is_of_people(table)
                || evidence.reference.as_ref().is_some_and(|reference| {
                    let dataset = reference.to.split('.').next().unwrap_or_default();
                    names::is_of_people(dataset)
                }));
    let by_key = points_to_person.then_some((Identifies::Indirectly, Protection::Pseudonymise));
    // A name that suggests a protection is stronger evidence than a few values.
    let (identifies, wished) = match (by_name, by_value) {
        (Some(by_name), _) => by_name,
        (None, Some(by_value)) => by_value,
        (None, None) => by_key?,
    };
    let by = match column.personal {
        Some(_) => "Personal by the format",
        None => "Personal by its name",
    };
    let mut why = match (by_name.is_some(), looks) {
        (true, Some(looks)) => format!("{by}; {looks}."),
        (true, None) => format!("{by}."),
        (false, Some(looks)) => format!("Personal: {looks}."),
        (false, None) => "Stands for a person.".to_owned(),
    };
    let mut protection = Some(wished).filter(|wished| wished.kept_type(&column.ty).is_some());
    if protection.is_none() && Protection::Pseudonymise.kept_type(&column.ty).is_some() {
        protection = Some(Protection::Pseudonymise);
    }
    if (column.primary_key || evidence.declared.unique)
        && protection.is_some_and(|protection| !protection.keeps_identity())
    {
        protection = Protection::Pseudonymise
            .kept_type(&column.ty)
            .map(|_| Protection::Pseudonymise);
    }
    let is_judged = |reference: &Reference| reference.without_rule.is_none();
    if evidence.reference.as_ref().is_some_and(is_judged) || evidence.referred {
        protection = None;
        why += " No protection: rows of other tables are found by it.";
    } else if by_key.is_some() && by_name.is_none() && by_value.is_none() {
        protection = None;
    } else if protection.is_none() {
        why += &format!(
            " Decide: no protection but drop applies to a {} column.",
            column.ty
        );
    }
    Some(Personal {
        identifies,
        protection,
        evidence: why,
    })
}

/// The proposed share of missing values holds for the rows that were read, plus three standard errors for
/// other rows.
fn completeness(found: &mut Proposals, column: &DraftColumn, evidence: &Evidence) {
    let profile = &evidence.profile;
    let rows = profile.rows;
    let missing = profile.nulls + profile.blanks + profile.sentinels;
    if rows < LEAST_VALUES {
        return;
    }
    if profile.nulls == 0 && !evidence.declared.required && !column.required && !column.primary_key
    {
        found.rules.push(ProposedRule {
            evidence: format!("None of {} is null.", plural(rows, "row")),
            asks: Asks::NoNulls,
            severity: Severity::Warn,
        });
    }
    if missing == 0 {
        return;
    }
    let share = missing as f64 / rows as f64;
    let spare = 3.0 * (share * (1.0 - share) / rows as f64).sqrt();
    let most = (100.0 * (share + spare)).ceil().min(100.0) as u64;
    if most >= 100 {
        return;
    }
    let asks = if profile.blanks + profile.sentinels > 0 {
        Asks::Missing(evidence.texts.missing.clone(), most)
    } else {
        Asks::Complete(100 - most)
    };
    found.rules.push(ProposedRule {
        evidence: format!(
            "Without a value: {} of {} ({}).",
            count(missing),
            plural(rows, "row"),
            percent(missing, rows)
        ),
        asks,
        severity: Severity::Warn,
    });
}

fn uniqueness(
    found: &mut Proposals,
    column: &DraftColumn,
    name: &str,
    evidence: &Evidence,
    values: u64,
) {
    let keeps = |personal: &Personal| {
        personal
            .protection
            .is_none_or(|protection| protection.keeps_identity())
    };
    if column.primary_key || !found.personal.as_ref().is_none_or(keeps) {
        return;
    }
    let profile = &evidence.profile;
    if evidence.declared.unique {
        found.unique = Some("Declared unique by the source.".to_owned());
    } else if names::is_key(name)
        && matches!(
            column.ty,
            ColumnType::String | ColumnType::Int | ColumnType::Long
        )
        && values >= LEAST_VALUES
        && profile.nulls == 0
        && profile.distinct == Some(values)
    {
        found.rules.push(ProposedRule {
            evidence: format!("{}, all distinct.", plural(values, "value")),
            asks: Asks::Unique,
            severity: Severity::Warn,
        });
    }
}

fn refer(found: &mut Proposals, reference: &Reference) {
    let strange = reference.looked_for - reference.found;
    let mut why = if reference.declared {
        "Declared by the source; ".to_owned()
    } else {
        "By name and values: ".to_owned()
    };
    why += &match strange {
        0 => format!(
            "all {} are in {}.",
            plural(reference.looked_for, "distinct value"),
            reference.to
        ),
        _ => format!(
            "{} of {} are not in {}.",
            count(strange),
            plural(reference.looked_for, "distinct value"),
            reference.to
        ),
    };
    match &reference.without_rule {
        Some(reason) => why += &format!(" {reason}"),
        None => found.rules.push(ProposedRule {
            // The evidence is at the relationship, right above.
            evidence: String::new(),
            asks: Asks::Reference,
            severity: if reference.declared && strange == 0 {
                Severity::Reject
            } else {
                Severity::Warn
            },
        }),
    }
    found.relationship = Some((reference.to.clone(), why));
}

fn lengths(found: &mut Proposals, evidence: &Evidence) {
    let Some(declared) = evidence.declared.max_length else {
        return;
    };
    let longest = evidence.texts.longest;
    if longest <= declared {
        found.max_length = Some((
            declared,
            format!(
                "Declared by the source; the longest has {}.",
                plural(longest, "character")
            ),
        ));
    } else {
        found.notes.push(format!(
            "Declared with at most {}, but the longest has {}.",
            plural(declared, "character"),
            count(longest)
        ));
    }
}

fn list(found: &mut Proposals, name: &str, evidence: &Evidence, values: u64) {
    let categories = &evidence.profile.categories;
    let few = categories.len() > 1
        && evidence.texts.personal.is_empty()
        && categories.len() <= MOST_LISTED
        && values >= ROWS_PER_LISTED * categories.len() as u64
        && evidence.texts.longest <= LONGEST_LISTED;
    if !few || (names::is_standard_code(name) && evidence.texts.shape.is_some()) {
        return;
    }
    // Categories come with the most frequent first.
    let rarest = categories.last().map_or(0, |rarest| rarest.rows);
    found.rules.push(ProposedRule {
        evidence: format!(
            "{} have one of {}; the last one in {}.",
            plural(values, "row"),
            plural(categories.len() as u64, "value"),
            plural(rarest, "row")
        ),
        asks: Asks::OneOf(categories.iter().map(|one| one.value.clone()).collect()),
        severity: Severity::Warn,
    });
}

/// Which references may become rules, in the order given: a reference that would close a circle may not,
/// because none of its tables could be judged first.
pub fn without_circles<'a>(references: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<bool> {
    let mut kept: Vec<(&str, &str)> = Vec::new();
    references
        .into_iter()
        .map(|(from, to)| {
            let mut reached = vec![to];
            let mut at = 0;
            while let Some(&table) = reached.get(at) {
                for &(_, next) in kept.iter().filter(|(from, _)| *from == table) {
                    if !reached.contains(&next) {
                        reached.push(next);
                    }
                }
                at += 1;
            }
            let sound = !reached.contains(&from);
            if sound {
                kept.push((from, to));
            }
            sound
        })
        .collect()
}

#[cfg(test)]
mod tests;
