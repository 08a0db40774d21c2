//! Names of datasets and columns from names of other kinds.

use std::collections::HashSet;

use deunicode::deunicode_char;

/// A name in lower_snake_case that begins with a letter: words are split at capitals and at characters
/// that are not letters or digits. Letters of other scripts are written in ASCII letters, symbols and
/// emoji by their names; a name without any of these is `unnamed`.
///
/// ```
/// use tarn_contract::snake_case;
/// assert_eq!(snake_case("InvoiceLineId"), "invoice_line_id");
/// assert_eq!(snake_case("HTTPStatus (%)"), "http_status");
/// assert_eq!(snake_case("2nd name"), "c_2nd_name");
/// assert_eq!(snake_case("ЦенаТовара"), "tsena_tovara");
/// assert_eq!(snake_case("注文"), "zhu_wen");
/// ```
pub fn snake_case(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let mut snake = Snake::default();
    for (index, &c) in characters.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|at| characters.get(at));
        let begins_word = c.is_uppercase()
            && (before.is_some_and(|b| b.is_lowercase() || b.is_numeric())
                || (before.is_some_and(|b| b.is_uppercase())
                    && characters.get(index + 1).is_some_and(|a| a.is_lowercase())));
        if begins_word {
            snake.end_word();
        }
        snake.add(c);
    }
    let snake = snake.text.trim_end_matches('_');
    match snake.chars().next() {
        None => "unnamed".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("c_{snake}"),
        Some(_) => snake.to_owned(),
    }
}

/// A name in lower_snake_case under construction.
#[derive(Default)]
struct Snake {
    text: String,
}

impl Snake {
    fn end_word(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with('_') {
            self.text.push('_');
        }
    }

    fn add(&mut self, c: char) {
        if c.is_ascii_alphanumeric() {
            self.text.push(c.to_ascii_lowercase());
            return;
        }
        let ascii = if c.is_ascii() {
            None
        } else {
            deunicode_char(c)
        };
        let Some(ascii) = ascii else {
            return self.end_word();
        };
        // Scripts without capitals: a capital says that a word is written by one character.
        let is_word = !c.is_uppercase() && ascii.starts_with(|a: char| a.is_ascii_uppercase());
        if is_word || !c.is_alphanumeric() {
            // Marks that belong to the character before add nothing.
            if !ascii.is_empty() {
                self.end_word();
            }
        }
        for a in ascii.chars() {
            if a.is_ascii_alphanumeric() {
                self.text.push(a.to_ascii_lowercase());
            } else if a == ' ' || !c.is_alphabetic() {
                self.end_word();
            }
        }
        if !c.is_alphanumeric() && !ascii.is_empty() {
            self.end_word();
        }
    }
}

/// Names that are each used once.
#[derive(Debug, Default)]
pub struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// The name, or where it is taken the name with a number.
    pub fn take(&mut self, wished: &str) -> String {
        let mut name = wished.to_owned();
        let mut number = 2;
        while !self.taken.insert(name.clone()) {
            name = format!("{wished}_{number}");
            number += 1;
        }
        name
    }

    /// A name in lower_snake_case for each of these, no two alike. What is in lower_snake_case already
    /// keeps its name, whatever its place.
    ///
    /// ```
    /// use tarn_contract::Names;
    /// let names = Names::in_snake_case(&["Order Details", "order_details", "⠀", "OrderDetails "]);
    /// assert_eq!(names, ["order_details_2", "order_details", "unnamed", "order_details_3"]);
    /// ```
    pub fn in_snake_case(of: &[&str]) -> Vec<String> {
        let mut names = Names::default();
        let kept: Vec<Option<String>> = of
            .iter()
            .map(|name| (snake_case(name) == **name).then(|| names.take(name)))
            .collect();
        of.iter()
            .zip(kept)
            .map(|(name, kept)| kept.unwrap_or_else(|| names.take(&snake_case(name))))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_other_scripts_are_written_in_ascii_letters() {
        for (name, expected) in [
            ("Größe", "grosse"),
            ("Straße Nr.", "strasse_nr"),
            ("Gro\u{308}sse", "grosse"),
            ("naïve café", "naive_cafe"),
            ("Цена", "tsena"),
            ("ЦЕНА", "tsena"),
            ("ЦенаТовара", "tsena_tovara"),
            ("объект", "obekt"),
            ("値段", "zhi_duan"),
            ("げんまい茶", "genmai_cha"),
            ("주문", "jumun"),
            ("Τιμή", "time"),
            ("🍎", "apple"),
            ("🍎price", "apple_price"),
            ("¥", "y"),
            ("№ заказа", "no_zakaza"),
            ("x²", "x2"),
            ("it's", "it_s"),
            ("a…b", "a_b"),
            ("", "unnamed"),
            ("\u{10ffff}", "unnamed"),
            ("__a__", "a"),
        ] {
            assert_eq!(snake_case(name), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_one_that_contracts_take_and_its_own_name(name in any::<String>()) {
            let snake = snake_case(&name);
            prop_assert!(snake.starts_with(|c: char| c.is_ascii_lowercase()), "{snake}");
            prop_assert!(snake.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
            prop_assert!(!snake.contains("__") || name.contains("__"), "{}", snake);
            prop_assert_eq!(snake_case(&snake), snake);
        }

        #[test]
        fn no_two_names_are_alike(names in prop::collection::vec("(a|A|b_2|b|B|b 2|注|.)", 0..12)) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let found = Names::in_snake_case(&names);
            let distinct: HashSet<&String> = found.iter().collect();
            prop_assert_eq!(distinct.len(), names.len());
        }
    }
}
