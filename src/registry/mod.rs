//! Text to Registry: as written, as checked. All faults are reported at once, each with its place and a hint.
//! Nothing that is in a `Registry` needs checking again. Edits keep comments, order and formatting.

mod checked;
mod compose;
mod docker;
mod draft;
mod edit;
pub(crate) mod fault;
mod find;
mod harden;
mod healing;
mod import;
mod load;
mod login;
mod mask;
mod notify;
pub(crate) mod number;
mod packages;
pub(crate) mod read;
mod schema;
mod settle;
mod shares;
mod source;
pub(crate) mod text;
pub(crate) mod tree;
mod units;
mod window;
mod written;

pub use checked::*;
pub use compose::{
    compose_document, compose_files, compose_files_among, compose_here, compose_parts, part_fetches, part_image,
    part_runs_it, sent_of,
};
pub use docker::{
    Adopted, COMPOSE_FILES, COMPOSE_OVERRIDES, Docker, Healthcheck, Image, Mount, MountSource, Project, Publish, Pull,
    Push,
};
pub(crate) use edit::flow;
pub use edit::{Edit, EditError, FIRST, FirstHost, begin, create, edit, entries, remove, rewrite, write_new};
pub use fault::{Fault, Faults, Place, nearest};
pub use find::{FILE_NAMES, config_folder, find};
pub use harden::Hardening;
pub use healing::{Heal, HealPolicy};
pub use import::{Around, Fitted, Import, Note, Origin, Outcome, fit, import, name_of};
pub use load::{format, load, load_all, load_text};
pub use login::{ImageLogin, SecretRef, server_of};
pub use mask::{Mask, is_private_header};
pub use notify::{Mail, MailSecurity, NewsKind, Notify, NotifyTo, Url};
pub use packages::{Lock, NoLock, lock_of};
pub use schema::schema;
pub use settle::{BadVariable, expand};
pub use source::{Git, Source};
pub use tree::Format;
pub use units::{BadUnit, parse_duration, parse_size, write_duration, write_size};
pub use window::Window;
pub use written::{write_host, write_service};
