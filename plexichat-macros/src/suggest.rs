//! "Did you mean": the nearest of a closed list. Knows no attribute.

/// Says that a word is unknown and what it could have been: the nearest candidate, or all of them.
pub(crate) fn unknown(kind: &str, word: &str, candidates: &[&str]) -> String {
    format!("unknown {kind} `{word}`; {}", way_out(word, candidates))
}

/// The same, of a word that belongs to something: an option of an attribute, a method of a trait.
pub(crate) fn unknown_of(kind: &str, word: &str, owner: &str, candidates: &[&str]) -> String {
    format!("unknown {kind} `{word}` of {owner}; {}", way_out(word, candidates))
}

/// What a word could have been: the nearest candidate, or all of them.
pub(crate) fn way_out(word: &str, candidates: &[&str]) -> String {
    match (nearest(word, candidates), candidates) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, [only]) => format!("there is only `{only}`"),
        (None, _) => format!("there are {}", list(candidates)),
    }
}

/// The candidates as a sentence part: `` `a`, `b` and `c` ``.
pub(crate) fn list(candidates: &[&str]) -> String {
    let quoted: Vec<String> = candidates.iter().map(|candidate| format!("`{candidate}`")).collect();
    match quoted.as_slice() {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Whichever candidate is nearest to the word, if one is near enough to be what was meant.
pub(crate) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    candidates
        .iter()
        .map(|candidate| (distance(word, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(word.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The Levenshtein distance, ignoring case, `_` and `-`, so that `NetworkAccess` is found by `network_access`.
fn distance(left: &str, right: &str) -> usize {
    let letters = |text: &str| -> Vec<char> {
        text.chars().filter(|letter| !matches!(letter, '_' | '-')).flat_map(char::to_lowercase).collect()
    };
    let right = letters(right);
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, left) in letters(left).into_iter().take(100).enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, right) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, candidates: &[&str], expected: Option<&str>) {
        assert_eq!(nearest(word, candidates), expected);
    }

    #[test]
    fn finds_what_was_meant() {
        let permissions = ["NetworkAccess", "FileSystemRead", "FileSystemWrite", "AiAccess"];
        check("NetworkAcess", &permissions, Some("NetworkAccess"));
        check("network_access", &permissions, Some("NetworkAccess"));
        check("FileSystemWrit", &permissions, Some("FileSystemWrite"));
        check("Everything", &permissions, None);
        check("", &permissions, None);
        check("anything", &[], None);
    }

    #[test]
    fn names_all_where_none_is_near() {
        assert_eq!(
            unknown("fruit", "stone", &["apple", "pear"]),
            "unknown fruit `stone`; there are `apple` and `pear`"
        );
        assert_eq!(unknown("fruit", "aple", &["apple", "pear"]), "unknown fruit `aple`; did you mean `apple`?");
    }
}
