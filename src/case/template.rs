//! The ID and link of a case that this site opens, from the templates in the settings.

use super::id::{Alias, CaseId, CaseLink, IncidentId, NameFault};
use super::incident::Case;
use super::text::encoded;

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
        let id: CaseId = fill(&self.id, incident, client).parse()?;
        let link = self.link_of(&id, incident, client)?;
        Ok(Case { id, link, status: self.status.clone(), contact: None })
    }

    /// The link to a case whose ID a person gave, which may hold blanks and slashes; fails when what comes out is no link.
    pub fn link_of(&self, id: &CaseId, incident: IncidentId, client: &Alias) -> Result<Option<CaseLink>, NameFault> {
        let filled = |link: &String| fill(link, incident, client).replace("{case}", &encoded(id.as_str())).parse();
        self.link.as_ref().map(filled).transpose()
    }
}

fn fill(text: &str, incident: IncidentId, client: &Alias) -> String {
    text.replace("{incident}", &incident.to_string()).replace("{client}", client.as_str())
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
        for (id, link) in [("RT-12", "RT-12"), ("T 17/ö", "T%2017%2F%C3%B6")] {
            let given = template.link_of(&id.parse().unwrap(), IncidentId(7), &"north".parse().unwrap()).unwrap();
            assert_eq!(given.unwrap().as_str(), format!("https://noc.example/{link}"));
        }
    }
}
