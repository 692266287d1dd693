//! What every plugin must do.

use plexichat_word_filter::WordFilter;

plexichat::compliance!(WordFilter);
