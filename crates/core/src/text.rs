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

/// A number with thousands separated and at most two digits after the decimal point.
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

/// Seconds for people: `45 s`, `3 h 20 min`, `2 d 4 h`; two units at most.
pub fn duration(seconds: f64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    if seconds < 10.0 && seconds.fract() != 0.0 {
        return format!("{seconds:.1} s");
    }
    let mut left = seconds.max(0.0).round() as u64;
    let mut parts: Vec<String> = Vec::new();
    for (index, (size, unit)) in UNITS.iter().enumerate() {
        let number = left / size;
        left %= size;
        if number > 0 {
            parts.push(format!("{number} {unit}"));
        }
        // Only the unit after the first shown one still matters.
        let first = UNITS.iter().position(|(size, _)| seconds >= *size as f64);
        if first.is_some_and(|first| index > first) {
            break;
        }
    }
    if parts.is_empty() {
        "0 s".to_owned()
    } else {
        parts.join(" ")
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

    #[test]
    fn durations_are_written_in_two_units_at_most() {
        for (seconds, text) in [
            (0.0, "0 s"),
            (0.25, "0.2 s"),
            (45.0, "45 s"),
            (60.0, "1 min"),
            (12_000.0, "3 h 20 min"),
            (12_059.0, "3 h 20 min"),
            (86_400.0, "1 d"),
            (187_300.0, "2 d 4 h"),
            (86_460.0, "1 d"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
