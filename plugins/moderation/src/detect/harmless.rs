//! What people write all day and no detector may object to: the corpus that keeps false alarms away.

use super::{Guess, Wanted, find};
use crate::fold::Text;

const TEXTS: &[&str] = &[
    "Good morning! Lunch at 12:30?",
    "Order 4029357733 was shipped on 2024-11-23, tracking 1Z999AA10123456784.",
    "Invoice no. 2024-000123456789, total 1.234.567,89 EUR",
    "ISBN 978-3-16-148410-0 and EAN 4006381333931",
    "fixed in 4b825dc642cb6eb9a060e54bf8d69288fbee4904, see https://github.com/a/b/commit/4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "0190e4b1-7f3a-7c3e-8a1b-2c3d4e5f6a7b is the message's id",
    "https://x.com/someone/status/1729384756019283746",
    "https://discord.com/channels/411111111111111111/411111111111111112",
    "https://www.example.com/watch?v=dQw4w9WgXcQ&t=42s",
    "upgrade to v1.95.0-nightly (2024-11-20), serde 1.0.229, tokio@1.54.1",
    "built at 1700000000000000000 ns, took 1732327858123456 us",
    "2024-11-23T01:50:00.123456789Z and 20241123015000",
    "pi is 3.14159265358979323846264338327950288419716939937510",
    "10 000 000 000 000 000 is a lot; 0000 0000 0000 0000 is none",
    "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
    "4 8 15 16 23 42 4 8 15 16 23 42",
    "the password is on the wiki, ask Ada for the secret",
    "I forgot my password: can somebody reset it?",
    "token: the smallest unit of meaning",
    "secret santa: 2024-12-24 at 18:00, room B12",
    "let token = parse_token(&input)?;",
    "password: String, api_key: Option<Secret<String>>,",
    "PASSWORD=$(pass show database/production)",
    "api_key = \"${{ secrets.DEPLOY_KEY_V2 }}\"",
    "if (token == null || token.length < 10) return;",
    "class=\"sk-chase sk-chase-dot-before\"",
    "npm_config_registry and npm_lifecycle_event are set by npm",
    "ghp_ is how GitHub's tokens begin, sk- OpenAI's, AKIA Amazon's, eyJ every JWT, plx_ ours",
    "begin with -----BEGIN PRIVATE KEY----- and end with -----END PRIVATE KEY-----",
    "#4111 and PR-4242, JIRA-12345, room 4000-4999",
    "0x4111111111111111 0xDEADBEEFCAFEBABE",
    "52.520008, 13.404954 is Berlin",
    "+1 for that! +2 from me, +100500",
    "score +1000000000 points",
    "std::fmt::Display, a::b::c, fe80 interfaces, 12:30:45",
    "127.0.0.1:8080, 192.168.0.10, 10.0.0.0/8, 0.0.0.0",
    "@ada @bob @charles please look",
    "git clone git@github.com:plexichat/plexichat.git",
    "me@example.com is an example, and so is ada@test.example",
    "logo@2x.png",
    "GET /api/v1/rooms/0190e4b1-7f3a-7c3e-8a1b-2c3d4e5f6a7b/messages?limit=50 200 13ms",
    "DE 12 is a size, FR 38 too; AT 4 pm; ES 2024",
    "base64: SGVsbG8sIHdvcmxkISBUaGlzIGlzIG5vdCBhIHNlY3JldC4=",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGb0zJQpL3l5v5m9lq9pO1rY8Kx2 ada@laptop",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    "Größe 42, Straße 7, Привет 12345, 価格は1,234,567円です",
    "☎️ 👍🏽 4️⃣2️⃣",
    "UPS 1Z12345E0291980793, IMEI 490154203237518",
    "mac 00:1A:2B:3C:4D:5E, eui64 02:1a:2b:ff:fe:3c:4d:5e",
    "thread 'main' panicked at src/main.rs:42:13: index out of bounds: the len is 3 but the index is 4111",
    "| 4111 | 2222 | 3333 |",
    "2024-11-23 2024-11-24 2024-11-25 2024-11-26",
    "kubectl get secret my-secret -o jsonpath='{.data.password}'",
    "Authorization: Bearer <token>",
    "export OPENAI_API_KEY=sk-...",
    "secret_key_base: <%= ENV[\"SECRET_KEY_BASE_2\"] %>",
];

#[test]
fn nothing_is_found_in_what_people_write_all_day() {
    for text in TEXTS {
        let plain = Text::new(text);
        let found = find(&plain, Wanted::all(), Guess::default());
        assert_eq!(found, [], "{text:?}");
    }
}
