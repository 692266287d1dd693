//! What every plugin must do.

use plexichat_echo::Echo;

plexichat::compliance!(Echo);
