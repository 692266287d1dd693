//! The list of files that are known to be bad, by SHA-256. Knows no file.

use std::collections::HashMap;

use plexichat::message::Finding;

/// One line of a list.
pub(crate) struct Hash<'a> {
    pub(crate) sha256: [u8; 32],
    /// The threat's name, where the line says one.
    pub(crate) name: &'a str,
}

impl<'a> Hash<'a> {
    /// Reads 64 hexadecimal digits, and behind a blank what they are called; as `sha256sum` writes it too.
    ///
    /// # Errors
    /// What the line lacks.
    pub(crate) fn parse(line: &'a str) -> Result<Self, &'static str> {
        let line = line.trim();
        let (digits, name) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let mut sha256 = [0; 32];
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err("this is no SHA-256: write 64 hexadecimal digits, and behind a blank the threat's name");
        }
        for (byte, pair) in sha256.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let value = |digit: u8| (digit as char).to_digit(16).unwrap_or(0) as u8;
            *byte = value(pair[0]) << 4 | value(pair[1]);
        }
        Ok(Self { sha256, name: name.trim().trim_start_matches('*') })
    }
}

/// A list, ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct Hashes(HashMap<[u8; 32], Box<str>>);

impl Hashes {
    /// Adds a list's lines.
    ///
    /// # Errors
    /// The number of the first line that is none, and why.
    pub(crate) fn add<'a>(&mut self, lines: impl Iterator<Item = &'a str>) -> Result<(), (usize, &'static str)> {
        for (index, line) in lines.enumerate() {
            let line = line.split('#').next().unwrap_or("").trim();
            if line.is_empty() {
                continue;
            }
            let Hash { sha256, name } = Hash::parse(line).map_err(|why| (index + 1, why))?;
            let name = match name {
                "" => format!("SHA256.{}", line[..16].to_ascii_lowercase()),
                name => name.chars().take(200).collect(),
            };
            self.0.insert(sha256, name.into());
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many files the list names.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// What the list says of a file.
    pub(crate) fn find(&self, sha256: &[u8; 32]) -> Option<Finding> {
        let threat = self.0.get(sha256)?.to_string();
        let detail = Some("its SHA-256 is on the block list".to_owned());
        Some(Finding { threats: vec![threat], detail, ..Finding::new("virus") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[track_caller]
    fn check(list: &str, expected: Result<Option<&str>, usize>) {
        let mut hashes = Hashes::default();
        let added = hashes.add(list.lines()).map_err(|(line, _)| line);
        let sha256 = Hash::parse(ABC).expect("parses").sha256;
        let found = added.map(|()| hashes.find(&sha256).map(|finding| finding.threats[0].clone()));
        assert_eq!(found, expected.map(|threat| threat.map(str::to_owned)), "{list:?}");
    }

    #[test]
    fn lists_are_read() {
        check("", Ok(None));
        check("# nothing\n\n", Ok(None));
        check(ABC, Ok(Some("SHA256.ba7816bf8f01cfea")));
        check(&ABC.to_uppercase(), Ok(Some("SHA256.ba7816bf8f01cfea")));
        check(&format!("{ABC} Trojan.Abc # seen in May"), Ok(Some("Trojan.Abc")));
        check(&format!("{ABC}  *abc.bin"), Ok(Some("abc.bin")));
        check(&format!("{ABC}\n{}\n", &ABC[1..]), Err(2));
        check("d41d8cd98f00b204e9800998ecf8427e", Err(1));
        check(&format!("{}g", &ABC[1..]), Err(1));
    }
}
