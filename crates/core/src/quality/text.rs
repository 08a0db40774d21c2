//! Numbers for people.

/// A count with thousands separated: 1,234,567.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: 1 row, 2 rows.
pub fn plural(number: u64, noun: &str) -> String {
    format!(
        "{} {noun}{}",
        count(number),
        if number == 1 { "" } else { "s" }
    )
}

/// A number with thousands separated and at most two digits behind the point.
pub fn number(value: f64) -> String {
    if value.abs() >= 1e15 || !value.is_finite() {
        return format!("{value:e}");
    }
    let hundredths = (value.abs() * 100.0).round() as u64;
    let (whole, part) = (hundredths / 100, hundredths % 100);
    let sign = if value < 0.0 && hundredths > 0 {
        "−"
    } else {
        ""
    };
    match part {
        0 => format!("{sign}{}", count(whole)),
        part if part % 10 == 0 => format!("{sign}{}.{}", count(whole), part / 10),
        part => format!("{sign}{}.{part:02}", count(whole)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        for (value, text) in [
            (0.0, "0"),
            (1_234_567.0, "1,234,567"),
            (0.5, "0.5"),
            (-1_234.567, "−1,234.57"),
            (2.04, "2.04"),
            (-0.001, "0"),
            (1e20, "1e20"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!([count(999), count(1_234_567)], ["999", "1,234,567"]);
        assert_eq!(
            [plural(1, "row"), plural(1_000, "row")],
            ["1 row", "1,000 rows"]
        );
    }
}
