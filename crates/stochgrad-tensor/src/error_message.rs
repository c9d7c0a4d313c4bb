//! The message of an error as its debug output.

use std::error::Error;
use std::fmt;

/// Implements [`Debug`](fmt::Debug) for an error type by its message: that of [`Display`](fmt::Display), followed by
/// the messages of its [sources](Error::source) that it does not contain.
///
/// A `main` that returns `Result<(), Box<dyn Error>>`, `unwrap` and `expect` print the debug output of an error. A
/// derived implementation would print its fields there, without the words that say what was expected and what to try.
///
/// ```
/// use stochgrad_tensor::message_as_debug;
///
/// #[derive(thiserror::Error)]
/// #[error("{path}: expected a number, got {found}; remove the quotation marks")]
/// struct NotANumber {
///     path: String,
///     found: String,
/// }
/// message_as_debug!(NotANumber);
///
/// let error: Box<dyn std::error::Error> = NotANumber { path: "data.csv".into(), found: "\"3\"".into() }.into();
/// assert_eq!(format!("{error:?}"), "data.csv: expected a number, got \"3\"; remove the quotation marks");
/// ```
#[macro_export]
macro_rules! message_as_debug {
    ($error:ty) => {
        impl ::std::fmt::Debug for $error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                $crate::write_message(self, f)
            }
        }
    };
}

/// Writes the message of an error, and below it the messages of its sources that it does not contain. The macro
/// [`message_as_debug!`](macro@crate::message_as_debug) calls it.
///
/// # Errors
///
/// Those of the formatter.
pub fn write_message(error: &(dyn Error + 'static), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut written = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let message = source.to_string();
        if !written.contains(&message) {
            written += &format!("\n  caused by: {message}");
        }
        next = source.source();
    }
    f.write_str(&written)
}

#[cfg(test)]
mod tests {
    use std::num::ParseIntError;

    #[derive(thiserror::Error)]
    #[error("cannot read line {line}")]
    struct Line {
        line: usize,
        source: ParseIntError,
    }
    message_as_debug!(Line);

    #[derive(thiserror::Error)]
    enum File {
        #[error("a.csv: {0}; repair it")]
        Quoted(#[source] Line),
        #[error(transparent)]
        Plain(#[from] Line),
        #[error("a.csv is damaged")]
        Silent(#[source] Line),
    }
    message_as_debug!(File);

    fn line() -> Line {
        Line { line: 3, source: "x".parse::<usize>().unwrap_err() }
    }

    #[test]
    fn sources_follow_the_message_unless_it_contains_them() {
        let parse = "\n  caused by: invalid digit found in string";
        assert_eq!(format!("{:?}", line()), format!("cannot read line 3{parse}"));
        assert_eq!(format!("{:?}", File::Plain(line())), format!("cannot read line 3{parse}"));
        assert_eq!(format!("{:?}", File::Quoted(line())), format!("a.csv: cannot read line 3; repair it{parse}"));
        let silent = format!("a.csv is damaged\n  caused by: cannot read line 3{parse}");
        assert_eq!(format!("{:?}", File::Silent(line())), silent);
        assert_eq!(format!("{:#?}", File::Silent(line())), silent);
    }
}
