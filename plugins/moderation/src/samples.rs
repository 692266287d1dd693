//! A sample for each detector, which the host shows to the scanner. Put together at run time: whole in this source or in the
//! binary they would set off other people's scanners.

use plexichat::prelude::Canary;

use crate::detect::Detector;

/// What this detector must object to, whatever its settings are: as a message, and as a model's answer.
pub(crate) fn samples(detector: Detector) -> [Canary; 2] {
    [Canary::message(detector.code(), text(detector)), Canary::reply(detector.code(), text(detector))]
}

/// Something that this detector finds.
pub(crate) fn text(detector: Detector) -> String {
    match detector {
        Detector::PrivateKey => {
            ["-----BEGIN", " PRIVATE", " KEY-----\nMC4CAQAwBQYDK2Vw\n-----END", " PRIVATE KEY-----"].concat()
        }
        Detector::Token => ["gh", "p_", "a7Bc2Df3Gh4Jk5Lm6", "Np7Qr2St3Uv4Wx5Yza7"].concat(),
        Detector::JsonWebToken => {
            ["ey", "JhbGciOiJIUzI1NiJ9", ".ey", "JzdWIiOiIxIn0", ".", "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"].concat()
        }
        // Sixty-four different characters: longer and more random than any setting asks for.
        Detector::Assignment => {
            let value: String = ('0'..='9').chain('A'..='Z').chain('a'..='z').chain(['+', '~']).collect();
            ["pass", "word=", &value].concat()
        }
        Detector::CardNumber => ["4111", "1111", "1111", "1111"].join(" "),
        Detector::Iban => ["DE89", "3704", "0044", "0532", "0130", "00"].join(" "),
        Detector::EmailAddress => ["ada", "lovelace.org"].join("@"),
        Detector::PhoneNumber => ["+49", "30", "901820"].join(" "),
        Detector::IpAddress => ["8", "8", "4", "4"].join("."),
        Detector::NationalId => ["131052", "308T"].join("-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Guess, find};
    use crate::fold::Text;

    #[test]
    fn each_detector_finds_its_own() {
        for detector in Detector::ALL {
            let text = text(detector);
            for guess in [Guess::default(), Guess { min_entropy: 5.0, min_length: 64 }] {
                let found = find(&Text::new(&text), [detector].into_iter().collect(), guess);
                assert_eq!(found.len(), 1, "{detector:?}: {text}");
            }
        }
    }
}
