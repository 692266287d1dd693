//! Sizes as people write them in an attribute: `512KiB`, `50MiB`, `2GiB`. Knows no limit.

/// The bytes of a size, or what is wrong with it.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let shape = || format!("`{text}` is no size such as `512KiB`, `50MiB` or `2GiB`");
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim() {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(shape()),
    };
    let number: u64 = number.parse().map_err(|_| shape())?;
    match number.checked_mul(factor) {
        Some(0) => Err(format!("`{text}` is no size at all: no file is that small")),
        Some(bytes) => Ok(bytes),
        None => Err(format!("`{text}` is too large")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<u64, &str>) {
        assert_eq!(bytes(text), expected.map_err(str::to_owned));
    }

    #[test]
    fn reads_what_people_write() {
        check("512KiB", Ok(512 * 1024));
        check("50 MiB", Ok(50 * 1024 * 1024));
        check("2GiB", Ok(2 * 1024 * 1024 * 1024));
        check("0MiB", Err("`0MiB` is no size at all: no file is that small"));
        check("50MB", Err("`50MB` is no size such as `512KiB`, `50MiB` or `2GiB`"));
        check("50", Err("`50` is no size such as `512KiB`, `50MiB` or `2GiB`"));
        check("", Err("`` is no size such as `512KiB`, `50MiB` or `2GiB`"));
        check("99999999999GiB", Err("`99999999999GiB` is too large"));
    }
}
