//! What the stories are told with.

pub mod attachment;
pub mod caller;
pub mod certificates;
pub mod command;
pub mod disk;
pub mod pair;
pub mod post_office;
pub mod raw;
pub mod receiver;
pub mod relay;
pub mod row;
pub mod schema;
pub mod site;
pub mod wait;
pub mod wire;
pub mod workload;

pub use command::{casebridge, finish, operator, program};
pub use pair::Pair;
pub use site::{Site, write_secret};
pub use wait::eventually;
pub use wire::{Fault, Wire};
