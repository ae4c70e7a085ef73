//! The numbers of a day, and their means.

use serde::Serialize;

use super::Optimum;
use super::instance::Instance;
use super::simulate::Day;

/// The numbers of one instance. Times are minutes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) name: String,
    pub(crate) orders: usize,
    pub(crate) delivered: usize,
    pub(crate) undelivered_pct: f64,
    /// Mean click-to-door time.
    pub(crate) ctd: f64,
    pub(crate) ctd_p90: f64,
    /// Mean ready-to-pickup time.
    pub(crate) rtp: f64,
    /// Dollars.
    pub(crate) cost_per_order: f64,
}

/// Measures a day.
pub(crate) fn figures(instance: &Instance, day: &Day) -> Figures {
    let mut ctd = Vec::new();
    let mut rtp = 0;
    let mut orders_of = vec![0_usize; instance.couriers.len()];
    for errand in &day.errands {
        orders_of[errand.courier] += errand.orders.len();
        for (&order, &handed_over) in errand.orders.iter().zip(&errand.handed_over) {
            ctd.push(handed_over - instance.orders[order].placed);
            rtp += errand.picked_up - day.ready[order];
        }
    }
    ctd.sort_unstable();
    let delivered = ctd.len();
    let each = delivered.max(1) as f64;
    let pay = instance.couriers.iter().zip(&orders_of).map(|(courier, &orders)| {
        let hours = (courier.off - courier.on) as f64 / 60.0;
        (instance.pay_per_order * orders as f64).max(instance.pay_per_hour * hours)
    });
    let orders = instance.orders.len();
    Figures {
        name: instance.name.clone(),
        orders,
        delivered,
        undelivered_pct: 100.0 * (orders - delivered) as f64 / orders.max(1) as f64,
        ctd: ctd.iter().sum::<i64>() as f64 / each,
        ctd_p90: quantile(&ctd, 0.9),
        rtp: rtp as f64 / each,
        cost_per_order: pay.sum::<f64>() / each,
    }
}

/// The quantile of sorted values, between neighbours in proportion.
fn quantile(sorted: &[i64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let at = share * last as f64;
    let below = sorted[at.floor() as usize] as f64;
    let above = sorted[at.ceil() as usize] as f64;
    below + (above - below) * at.fract()
}

/// Means over instances.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Mean {
    pub(crate) undelivered_pct: f64,
    pub(crate) ctd: f64,
    pub(crate) ctd_p90: f64,
    pub(crate) rtp: f64,
    pub(crate) cost_per_order: f64,
    /// Mean excess over the known optima, in percent; `None` where none is known.
    pub(crate) gap_pct: Option<f64>,
}

/// The means, and the gap to the optima that are known.
pub(crate) fn mean(figures: &[Figures], optima: &[Optimum]) -> Mean {
    let over = |value: fn(&Figures) -> f64| figures.iter().map(value).sum::<f64>() / figures.len().max(1) as f64;
    let gaps: Vec<f64> = (optima.iter())
        .filter_map(|optimum| {
            let found = figures.iter().find(|f| f.name == optimum.name)?;
            Some(100.0 * (found.ctd / optimum.exact - 1.0))
        })
        .collect();
    Mean {
        undelivered_pct: over(|f| f.undelivered_pct),
        ctd: over(|f| f.ctd),
        ctd_p90: over(|f| f.ctd_p90),
        rtp: over(|f| f.rtp),
        cost_per_order: over(|f| f.cost_per_order),
        gap_pct: (!gaps.is_empty()).then(|| gaps.iter().sum::<f64>() / gaps.len() as f64),
    }
}
