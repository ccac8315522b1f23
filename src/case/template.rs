//! The ID and link of a case that this site opens, from the templates in the settings.

use super::id::{Alias, CaseId, CaseLink, IncidentId, NameFault};
use super::incident::Case;

/// `{incident}` and `{client}` are filled in; in the link `{case}` too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseTemplate {
    pub id: String,
    pub link: Option<String>,
    /// The status of a case that was just accepted.
    pub status: String,
}

impl CaseTemplate {
    /// The case for one incident; fails when what comes out is no case ID or no link.
    pub fn fill(&self, incident: IncidentId, client: &Alias) -> Result<Case, NameFault> {
        let fill = |text: &str| text.replace("{incident}", &incident.to_string()).replace("{client}", client.as_str());
        let id: CaseId = fill(&self.id).parse()?;
        let link: Option<CaseLink> = match &self.link {
            Some(link) => Some(fill(link).replace("{case}", id.as_str()).parse()?),
            None => None,
        };
        Ok(Case { id, link, status: self.status.clone(), contact: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled() {
        let template = CaseTemplate {
            id: "{client}-{incident}".into(),
            link: Some("https://noc.example/{case}".into()),
            status: "Open".into(),
        };
        let case = template.fill(IncidentId(7), &"north".parse().unwrap()).unwrap();
        assert_eq!(case.id.as_str(), "north-7");
        assert_eq!(case.link.unwrap().as_str(), "https://noc.example/north-7");
    }
}
