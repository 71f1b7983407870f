//! Templates of the user's, parsed once for a plan however many services fill them in.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use minijinja::{Environment, Error, Value};

/// Under this name minijinja tells errors of a template that has none of its own.
const NAME: &str = "<string>";

/// The templates that were parsed so far, by the kind of template and its text.
#[derive(Clone, Debug, Default)]
pub struct Parsed(Arc<RwLock<Kinds>>);

type Kinds = HashMap<&'static str, HashMap<String, Arc<Environment<'static>>>>;

impl Parsed {
    /// Fills in a template. All templates of a kind are read by the same kind of engine.
    ///
    /// # Errors
    /// When the text is no template, or what it asks for is not there.
    pub fn render(
        &self,
        kind: &'static str,
        text: &str,
        engine: impl FnOnce() -> Result<Environment<'static>, Error>,
        values: Value,
    ) -> Result<String, Error> {
        let engine = match self.known(kind, text) {
            Some(engine) => engine,
            None => {
                let mut engine = engine()?;
                engine.add_template_owned(NAME, text.to_owned())?;
                let engine = Arc::new(engine);
                let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
                all.entry(kind).or_default().insert(text.to_owned(), engine.clone());
                engine
            }
        };
        engine.get_template(NAME)?.render(values)
    }

    fn known(&self, kind: &str, text: &str) -> Option<Arc<Environment<'static>>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(kind)?.get(text).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parsed_template_says_what_a_fresh_one_says() {
        let parsed = Parsed::default();
        let values = || minijinja::context! { a => "x" };
        for text in ["{{ a }}\n", "{{ a", "\n{{ b.c }}", "{% for k in a|items %}{% endfor %}", ""] {
            let fresh = Environment::new().render_str(text, values()).map_err(|error| error.to_string());
            for _ in 0..2 {
                let again =
                    parsed.render("a", text, || Ok(Environment::new()), values()).map_err(|error| error.to_string());
                assert_eq!(again, fresh);
            }
        }
    }
}
