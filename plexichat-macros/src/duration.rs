//! Times as people write them in an attribute: `500ms`, `10s`, `2min`. Knows no limit.

/// The milliseconds of a time, or what is wrong with it.
pub(crate) fn milliseconds(text: &str) -> Result<u64, String> {
    let shape = || format!("`{text}` is no time such as `500ms`, `10s` or `2min`");
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        _ => return Err(shape()),
    };
    let number: u64 = number.parse().map_err(|_| shape())?;
    match number.checked_mul(factor) {
        Some(0) => Err(format!("`{text}` is no time at all: nothing can be done in it")),
        Some(milliseconds) => Ok(milliseconds),
        None => Err(format!("`{text}` is too long")),
    }
}

/// A time as a person would write it.
pub(crate) fn shown(milliseconds: u64) -> String {
    match milliseconds {
        minutes if minutes % 60_000 == 0 => format!("{}min", minutes / 60_000),
        seconds if seconds % 1_000 == 0 => format!("{}s", seconds / 1_000),
        milliseconds => format!("{milliseconds}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<u64, &str>) {
        assert_eq!(milliseconds(text), expected.map_err(str::to_owned));
    }

    #[test]
    fn reads_what_people_write() {
        check("500ms", Ok(500));
        check("10s", Ok(10_000));
        check("2min", Ok(120_000));
        check("2 min", Ok(120_000));
        check("0s", Err("`0s` is no time at all: nothing can be done in it"));
        check("ten", Err("`ten` is no time such as `500ms`, `10s` or `2min`"));
        check("10", Err("`10` is no time such as `500ms`, `10s` or `2min`"));
        check("-1s", Err("`-1s` is no time such as `500ms`, `10s` or `2min`"));
        check("99999999999999999999s", Err("`99999999999999999999s` is no time such as `500ms`, `10s` or `2min`"));
        check("9999999999999999999s", Err("`9999999999999999999s` is too long"));
    }

    #[test]
    fn shows_the_largest_whole_unit() {
        assert_eq!([shown(500), shown(5_000), shown(120_000)], ["500ms", "5s", "2min"]);
    }
}
