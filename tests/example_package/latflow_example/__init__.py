"""A theory, an observable, two methods of sampling and a flow for latflow, as a third party would write them."""
