//! How a column of personal data is protected.

use super::custom::Custom;
use super::yaml::{Faults, Map};
use tarn_core::privacy::Protection;
use tarn_core::schema::ColumnType;

/// The tag of a column that identifies a person by itself; one without a protection is refused.
const DIRECT: &str = "pii:direct";

/// Reads a column's protection.
pub(super) fn read(
    map: &Map<'_>,
    custom: &Custom<'_>,
    ty: Option<&ColumnType>,
    required: bool,
    faults: &mut Faults,
) -> Option<Protection> {
    let Some(word) = custom.text("protection", faults) else {
        let tags = map.list("tags", faults);
        if custom.place("protection").is_none()
            && let Some(tag) = tags.iter().find(|tag| tag.string() == Some(DIRECT))
        {
            faults.add(
                tag.at,
                format!("the column is tagged {DIRECT} and has no protection"),
                format!(
                    "add {{ property: protection, value: pseudonymise }} to its customProperties, or one of {}",
                    words()
                ),
            );
        }
        return None;
    };
    let Some(protection) = Protection::parse(word.value) else {
        faults.add(
            word.at,
            format!("unknown protection '{}'", word.value),
            format!("use one of {}", words()),
        );
        return None;
    };
    if let Some(ty) = ty
        && protection.kept_type(ty).is_none()
    {
        faults.add(
            word.at,
            format!("protection {} does not apply to a {ty} column", word.value),
            applies_to(protection),
        );
    }
    if required && protection == Protection::Drop {
        faults.add(
            word.at,
            "a required column cannot be dropped",
            "remove required: true, or choose another protection",
        );
    }
    if map.get("primaryKey").and_then(|node| node.boolean()) == Some(true)
        && !protection.keeps_identity()
    {
        faults.add(
            word.at,
            format!(
                "protection {} would give different rows the same primary key",
                word.value
            ),
            "use pseudonymise",
        );
    }
    if map.get("partitioned").and_then(|node| node.boolean()) == Some(true) {
        faults.add(
            word.at,
            "a partition column cannot be protected",
            "partition by another column, or remove the protection",
        );
    }
    Some(protection)
}

fn words() -> String {
    Protection::ALL.map(Protection::as_str).join(", ")
}

fn applies_to(protection: Protection) -> &'static str {
    match protection {
        Protection::Pseudonymise => "use it on strings, integers and lists of strings",
        Protection::Mask | Protection::Redact => "use it on strings and lists of strings",
        Protection::Generalise => "use it on strings that hold IP addresses, and on dates",
        Protection::Drop => "use it on any column",
    }
}
