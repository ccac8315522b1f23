//! The reaction policies, as people keep them, and what has become of what they led to.

use tracing::info;

use super::{Engine, EngineError};
use crate::case::{Action, Reaction, ReactionChange, ReactionFault};
use crate::config::settings::ReactionTo;
use crate::protocol::ProblemType;
use crate::protocol::reaction::{ReactionAnswer, ReactionPage, ReactionRequest, RunRow, RunRows};
use crate::store::{ReactionList, RunState};

impl Engine {
    pub async fn reactions(&self) -> Result<ReactionPage, EngineError> {
        let targets = self.settings().reaction_targets.iter().map(|target| target.name.clone()).collect();
        Ok(ReactionPage { reactions: self.store().reactions().await?.reactions.0, targets })
    }

    /// Changes the list as a person says.
    pub async fn change_reactions(&self, request: &ReactionRequest) -> Result<ReactionAnswer, EngineError> {
        /// Rounds of another person changing the list at the same moment.
        const TRIES: usize = 5;
        let owner = request.owner.as_deref().unwrap_or(&request.operator);
        crate::case::text::line(owner, 64).map_err(|fault| ProblemType::Form.with(format!("owner {fault}")))?;
        let given: &[Reaction] = match &request.change {
            ReactionChange::Add { reaction } | ReactionChange::Edit { reaction, .. } => std::slice::from_ref(reaction),
            ReactionChange::Import { reactions } => reactions,
            _ => &[],
        };
        given.iter().try_for_each(|reaction| self.check_targets(reaction)).map_err(refused)?;
        for _ in 0..TRIES {
            let list = self.store().reactions().await?;
            let (reactions, id) = list.reactions.changed(&request.change, owner).map_err(refused)?;
            let count = reactions.0.len();
            let mut note = self.command_note(Action::ReactionsChanged, &request.operator, told(&request.change));
            let change = serde_json::to_string(&request.change).unwrap_or_default();
            note.context.note("change", None, Some(&change));
            if self.store().set_reactions(ReactionList { reactions, ..list }, note).await? {
                info!(event = "reactions_changed", reaction = id, count, "an operator changed the reactions");
                return Ok(ReactionAnswer { id, count });
            }
        }
        Err(ProblemType::Busy.with("the reactions keep changing; try again").into())
    }

    fn check_targets(&self, reaction: &Reaction) -> Result<(), ReactionFault> {
        let settings = self.settings();
        for deed in &reaction.actions {
            let target = settings.reaction_targets.iter().find(|target| target.name == deed.target);
            let Some(target) = target else {
                let known: Vec<&str> = settings.reaction_targets.iter().map(|target| target.name.as_str()).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(ReactionFault::NoTarget { name: crate::case::text::shown(&deed.target, 64), known });
            };
            if deed.attach_bundle && !matches!(target.to, ReactionTo::Mail { .. }) {
                return Err(ReactionFault::NotByMail { name: deed.target.clone() });
            }
        }
        Ok(())
    }

    /// What failed and waits, and what was given up.
    pub async fn reaction_runs(&self, limit: usize) -> Result<RunRows, EngineError> {
        let page = self.store().runs(limit).await?;
        let row = |(run, state)| {
            let crate::store::Run {
                id, event, reaction, incident, name, target, queued_at, attempts, last_error, ..
            } = run;
            let next_attempt = match state {
                RunState::Due { at } => Some(at),
                RunState::GivenUp => None,
            };
            let incident = incident.0;
            RunRow { id, event, reaction, name, target, incident, queued_at, attempts, next_attempt, last_error }
        };
        Ok(RunRows { waiting: page.due, given_up: page.given_up, runs: page.runs.into_iter().map(row).collect() })
    }

    /// Has it tried once more what was given up. Returns how much that is.
    pub async fn retry_reactions(&self, reaction: Option<i64>, operator: &str) -> Result<u64, EngineError> {
        let rearmed = self.store().retry_runs(reaction, self.now()).await?;
        let detail = format!("{rearmed} are tried once more");
        self.store().note(self.command_note(Action::ReactionsRetried, operator, detail)).await?;
        Ok(rearmed)
    }

    /// Forgets what ended longer ago than the settings say. Returns how much that was.
    pub async fn forget_reactions(&self) -> Result<u64, EngineError> {
        let keep = self.settings().schedule.keep_done;
        let before = self.now().checked_sub(keep).unwrap_or(jiff::Timestamp::MIN);
        Ok(self.store().forget_runs(before).await?)
    }
}

fn refused(fault: ReactionFault) -> EngineError {
    let kind = match fault {
        ReactionFault::Unknown(_) => ProblemType::NotFound,
        ReactionFault::NameTaken { .. } | ReactionFault::FixedTrigger(_) => ProblemType::Action,
        _ => ProblemType::Form,
    };
    kind.with(fault.to_string()).into()
}

/// A change as the history names it.
fn told(change: &ReactionChange) -> String {
    match change {
        ReactionChange::Add { reaction } => format!("added {}", reaction.name),
        ReactionChange::Edit { id, .. } => format!("edited {id}"),
        ReactionChange::Copy { id, name } => format!("copied {id} as {name}"),
        ReactionChange::Enable { id } => format!("enabled {id}"),
        ReactionChange::Disable { id } => format!("disabled {id}"),
        ReactionChange::Move { id, to } => format!("moved {id} to place {to}"),
        ReactionChange::Delete { id } => format!("deleted {id}"),
        ReactionChange::Import { reactions } => format!("imported {}", reactions.len()),
    }
}
