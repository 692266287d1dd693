//! Characters that change how a word looks and not what it says: what scanners take out before they compare. Knows no scanner.

/// Whether this is a mark that is drawn over the character before it, of the blocks that hold nothing but marks for any script:
/// `b̶`. Those of one script, such as vowel signs, are letters there.
pub fn is_mark(character: char) -> bool {
    matches!(character,
        '\u{0300}'..='\u{036F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}' | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}')
}

/// Whether this shows nothing: Unicode's `Default_Ignorable_Code_Point`, and controls that are no white space.
pub fn is_invisible(character: char) -> bool {
    (character.is_control() && !character.is_whitespace())
        || matches!(character,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_neither() {
        for letter in "aß字हि한 \n👋".chars() {
            assert!(!is_mark(letter) && !is_invisible(letter), "{letter:?}");
        }
        assert!(is_mark('\u{336}') && is_mark('\u{20E3}'));
        assert!(is_invisible('\u{200B}') && is_invisible('\u{0}') && is_invisible('\u{FEFF}'));
    }
}
