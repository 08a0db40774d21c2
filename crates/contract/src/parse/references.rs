//! What rules name of other datasets: it must exist, and no two datasets may wait for one another.

use std::collections::BTreeMap;

use super::yaml::Faults;
use super::{Outcome, rule};
use crate::Diagnostic;
use crate::diagnostic::nearest;

/// Faults of the references between contracts.
pub(super) fn faults(outcomes: &[Outcome]) -> Vec<Diagnostic> {
    let known: BTreeMap<&str, &Outcome> = outcomes
        .iter()
        .filter_map(|outcome| Some((outcome.dataset.as_ref()?.value.as_str(), outcome)))
        .collect();
    let mut list = Vec::new();
    for outcome in outcomes {
        let mut faults = Faults::new(&outcome.file);
        for foreign in &outcome.foreign {
            let to = &foreign.value.to;
            let Some(other) = known.get(to.dataset.as_str()) else {
                let help = match nearest(&to.dataset, known.keys().copied()) {
                    Some(meant) => format!("did you mean '{meant}'?"),
                    None => "name a dataset that has a contract in the same folder".to_owned(),
                };
                faults.add(
                    foreign.at,
                    format!(
                        "the rule names a dataset '{}' that has no contract",
                        to.dataset
                    ),
                    help,
                );
                continue;
            };
            // Faults of the other contract are reported there.
            let (Some(contract), Some(ty)) = (&other.contract, &foreign.value.ty) else {
                continue;
            };
            let Some(column) = contract.column(&to.column) else {
                let names = contract.columns.iter().map(|column| column.name.as_str());
                let help = match nearest(&to.column, names.clone()) {
                    Some(meant) => format!("did you mean '{meant}'?"),
                    None => format!("its columns are {}", names.collect::<Vec<_>>().join(", ")),
                };
                faults.add(
                    foreign.at,
                    format!("dataset {} has no column '{}'", to.dataset, to.column),
                    help,
                );
                continue;
            };
            if foreign.value.row && column.is_personal() {
                faults.add(
                    foreign.at,
                    format!(
                        "{}.{} is personal, and its protected values cannot be referred to",
                        to.dataset, to.column
                    ),
                    "refer to a column without a protection",
                );
            }
            if !rule::comparable(ty, &column.ty) {
                faults.add(
                    foreign.at,
                    format!(
                        "{}.{} is of type {}, which cannot be compared with {ty}",
                        to.dataset, to.column, column.ty
                    ),
                    "refer to a column of the same type",
                );
            }
        }
        list.append(&mut faults.list);
    }
    list.extend(circles(outcomes, &known));
    list
}

/// Datasets whose rows refer to one another in a circle: none could be judged first.
fn circles(outcomes: &[Outcome], known: &BTreeMap<&str, &Outcome>) -> Vec<Diagnostic> {
    let mut list = Vec::new();
    for outcome in outcomes {
        let Some(own) = outcome.dataset.as_ref().map(|name| name.value.as_str()) else {
            continue;
        };
        let mut faults = Faults::new(&outcome.file);
        for foreign in outcome.foreign.iter().filter(|foreign| foreign.value.row) {
            if let Some(mut path) = way(&foreign.value.to.dataset, own, known, &mut Vec::new()) {
                path.insert(0, own.to_owned());
                faults.add(
                    foreign.at,
                    format!("the references go in a circle: {}", path.join(" → ")),
                    "remove one of these rules, or write it as type: sql, which looks at the tables as they will be",
                );
            }
        }
        list.append(&mut faults.list);
    }
    list
}

/// The datasets from `from` to `to` by references of rows.
fn way<'a>(
    from: &'a str,
    to: &str,
    known: &BTreeMap<&str, &'a Outcome>,
    seen: &mut Vec<&'a str>,
) -> Option<Vec<String>> {
    if from == to {
        return Some(vec![to.to_owned()]);
    }
    if seen.contains(&from) {
        return None;
    }
    seen.push(from);
    known
        .get(from)?
        .foreign
        .iter()
        .filter(|foreign| foreign.value.row)
        .find_map(|foreign| {
            let mut path = way(&foreign.value.to.dataset, to, known, seen)?;
            path.insert(0, from.to_owned());
            Some(path)
        })
}
