"""A theory, an observable, three methods of sampling and a flow for latflow, as a third party would write them."""
