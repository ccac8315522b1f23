//! Many rows in one statement, each value bound: what goes in as JSON is read by SQLite anew for each of its columns.

use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Sqlite, SqliteConnection};

use crate::store::StoreError;

/// Rows of one statement. A few sizes, so that each statement is prepared once.
const SIZES: [usize; 3] = [64, 8, 1];

/// One value of a row.
#[derive(Debug, Clone)]
pub enum Cell {
    Null,
    Number(i64),
    Text(String),
}

/// Executes a statement over rows of one width, in their order. `head` ends where the rows begin, such as
/// `INSERT INTO meta (name, value) VALUES`, and `tail` is what follows them; both are made of literals only.
pub async fn execute<R>(
    connection: &mut SqliteConnection,
    head: &str,
    tail: &str,
    rows: Vec<R>,
) -> Result<(), StoreError>
where
    R: AsRef<[Cell]> + IntoIterator<Item = Cell>,
{
    let width = rows.first().map_or(0, |row| row.as_ref().len());
    let row = format!("({})", vec!["?"; width].join(","));
    let mut rows = rows.into_iter();
    for size in SIZES {
        while rows.len() >= size {
            let statement = format!("{head} {} {tail}", vec![row.as_str(); size].join(","));
            let query = sqlx::query(AssertSqlSafe(statement));
            bind(query, rows.by_ref().take(size).flatten()).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

/// Binds values in their order.
fn bind(
    query: Query<'_, Sqlite, SqliteArguments>,
    cells: impl Iterator<Item = Cell>,
) -> Query<'_, Sqlite, SqliteArguments> {
    cells.fold(query, |query, cell| match cell {
        Cell::Null => query.bind(None::<i64>),
        Cell::Number(number) => query.bind(number),
        Cell::Text(text) => query.bind(text),
    })
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Number(number as i64)
    }
}

impl From<bool> for Cell {
    fn from(flag: bool) -> Self {
        Self::Number(flag.into())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
