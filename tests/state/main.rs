//! The state room through its public face: what is durable, what a failing step leaves, what damage becomes.

mod close;
mod damage;
mod kill;
mod open;
mod scene;
mod step;
