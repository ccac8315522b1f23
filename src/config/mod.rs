//! Settings of one site, from a TOML file.

pub mod settings;

pub use settings::Settings;
