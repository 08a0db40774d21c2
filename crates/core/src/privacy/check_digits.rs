//! Check digits, which distinguish the numbers of cards and accounts from other long numbers.

/// Luhn's test (ISO/IEC 7812-1, annex B) of ASCII digits; false if a byte is not a digit.
pub fn is_luhn(digits: &[u8]) -> bool {
    let mut sum = 0_u32;
    for (place, byte) in digits.iter().rev().enumerate() {
        if !byte.is_ascii_digit() {
            return false;
        }
        let digit = u32::from(byte - b'0');
        sum += match place % 2 {
            0 => digit,
            _ if digit > 4 => digit * 2 - 9,
            _ => digit * 2,
        };
    }
    sum.is_multiple_of(10)
}

/// Whether letters and digits without separators are an IBAN by length and check digits (ISO 13616):
/// with the first four signs moved to the end and letters as 10 to 35, the remainder modulo 97 is 1.
pub fn is_iban(signs: &[u8]) -> bool {
    if !(15..=34).contains(&signs.len()) || !signs.iter().all(u8::is_ascii_alphanumeric) {
        return false;
    }
    let (head, tail) = signs.split_at(4);
    let remainder =
        tail.iter()
            .chain(head)
            .fold(0_u32, |rest, &sign| match char::from(sign).to_digit(36) {
                Some(letter @ 10..) => (rest * 100 + letter) % 97,
                digit => (rest * 10 + digit.unwrap_or_default()) % 97,
            });
    remainder == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_cards_and_accounts_are_distinguished_from_others() {
        for (digits, expected) in [
            ("4111111111111111", true),
            ("4111111111111112", false),
            ("79927398713", true),
            ("7992739871x", false),
        ] {
            assert_eq!(is_luhn(digits.as_bytes()), expected, "{digits}");
        }
        for (signs, expected) in [
            ("GB82WEST12345698765432", true),
            ("gb82west12345698765432", true),
            ("DE89370400440532013000", true),
            ("DE89370400440532013001", false),
            ("DE89 3704 0044 0532 0130 00", false),
            ("DE89", false),
            ("", false),
        ] {
            assert_eq!(is_iban(signs.as_bytes()), expected, "{signs}");
        }
    }
}
