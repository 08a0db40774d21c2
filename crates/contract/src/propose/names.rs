//! What a column's name says about its values. Names are in lower_snake_case.

use tarn_core::privacy::Protection;

/// Whom the values of a personal column point to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identifies {
    /// A person by itself, such as an email address.
    Directly,
    /// A person together with other data, such as the number of an account.
    Indirectly,
}

/// Endings of names of columns that point to a person by themselves.
const DIRECT: [&str; 46] = [
    "email",
    "e_mail",
    "mail",
    "email_address",
    "phone",
    "phone_number",
    "telephone",
    "mobile",
    "cell",
    "fax",
    "address",
    "street",
    "address_line",
    "address_line1",
    "address_line2",
    "first_name",
    "last_name",
    "firstname",
    "lastname",
    "full_name",
    "fullname",
    "surname",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "contact_name",
    "customer_name",
    "user_name",
    "username",
    "author_name",
    "screen_name",
    "handle",
    "login",
    "remote_user",
    "author",
    "operator",
    "cashier",
    "clerk",
    "iban",
    "card_number",
    "passport",
    "passport_number",
    "ssn",
    "tax_number",
    "created_by",
];

/// Endings of names of columns that point to a person together with other data.
const INDIRECT: [&str; 10] = [
    "user_id",
    "author_id",
    "visitor_id",
    "session_id",
    "session",
    "device_id",
    "cookie",
    "cookie_id",
    "postal_code",
    "zip_code",
];

/// Whether two names end in the same words: `billing_email` in `email`, but not `gmail` in `mail`.
fn ends_in(name: &str, words: &str) -> bool {
    name.strip_suffix(words)
        .is_some_and(|before| before.is_empty() || before.ends_with('_'))
}

fn any(name: &str, words: &[&str]) -> bool {
    words.iter().any(|words| ends_in(name, words))
}

/// What the name of a column of this table says about the people in it, and how such a column is best
/// protected.
pub fn personal(name: &str, table: &str) -> Option<(Identifies, Protection)> {
    use Identifies::{Directly, Indirectly};
    use Protection::{Generalise, Pseudonymise, Redact};
    if any(
        name,
        &["ip", "ip_address", "ipaddress", "ip_addr", "remote_addr"],
    ) {
        return Some((Directly, Generalise));
    }
    if any(
        name,
        &[
            "birth_date",
            "birthdate",
            "birthday",
            "date_of_birth",
            "dob",
        ],
    ) {
        return Some((Directly, Generalise));
    }
    if any(name, &DIRECT) {
        return Some((Directly, Pseudonymise));
    }
    if any(name, &["name", "person"]) && is_of_people(table) {
        return Some((Directly, Pseudonymise));
    }
    if any(name, &INDIRECT) {
        return Some((Indirectly, Pseudonymise));
    }
    any(name, &["user_agent"]).then_some((Indirectly, Redact))
}

/// Whether a key of the table stands for a person.
pub fn is_of_people(table: &str) -> bool {
    const PEOPLE: [&str; 14] = [
        "customer",
        "user",
        "person",
        "people",
        "employee",
        "member",
        "contact",
        "subscriber",
        "patient",
        "student",
        "author",
        "lead",
        "guest",
        "staff",
    ];
    PEOPLE.iter().any(|people| ends_in(singular(table), people))
}

/// The name of one thing of a table's: `orders` and `order`, `categories` and `category`.
pub fn singular(table: &str) -> &str {
    match table {
        "addresses" => "address",
        "statuses" => "status",
        // The rest of a word that takes another ending is enough to compare with.
        _ => table
            .strip_suffix("ies")
            .or_else(|| table.strip_suffix('s').filter(|rest| !rest.ends_with('s')))
            .unwrap_or(table),
    }
}

/// Whether a column is named like one that tells rows apart.
pub fn is_key(name: &str) -> bool {
    any(
        name,
        &[
            "id",
            "key",
            "code",
            "uuid",
            "guid",
            "sku",
            "number",
            "no",
            "nr",
            "ean",
            "isbn",
            "slug",
            "token",
            "hash",
            "reference",
            "ref",
            "email",
            "username",
            "handle",
            "login",
        ],
    )
}

/// Whether a column is named like a reference to the key of another table: `customer_id` to `id` or
/// `customer_id` of `customers`, `billing_customer_id` too.
pub fn refers(name: &str, table: &str, key: &str) -> bool {
    // A key with a name of its own may be written as it is; `id` alone says nothing.
    if key.contains('_') && is_key(key) && ends_in(name, key) {
        return true;
    }
    let one = singular(table);
    ends_in(name, &format!("{one}_{key}"))
        || (table.ends_with("ies") && ends_in(name, &format!("{one}y_{key}")))
}

/// Whether an integer column that holds 0 and 1 alone is named like a yes or no.
pub fn is_flag(name: &str) -> bool {
    ["is_", "has_", "can_"]
        .iter()
        .any(|begin| name.starts_with(begin))
        || any(
            name,
            &[
                "active", "enabled", "disabled", "deleted", "consent", "flag", "verified",
            ],
        )
}

/// Whether a column is named like a code of a standard list, whose values a draft does not list.
pub fn is_standard_code(name: &str) -> bool {
    any(
        name,
        &[
            "country",
            "country_code",
            "currency",
            "currency_code",
            "language",
            "language_code",
            "locale",
            "region_code",
        ],
    )
}

/// Whether numbers of the name are positions on a scale, so that zero is not a bound.
pub fn is_signed(name: &str) -> bool {
    any(
        name,
        &[
            "latitude",
            "longitude",
            "lat",
            "lon",
            "lng",
            "offset",
            "offset_minutes",
            "sentiment",
            "delta",
            "balance",
            "change",
            "temperature",
        ],
    )
}
