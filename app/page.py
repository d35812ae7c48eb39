"""One run of the page: rail, context bar, the chosen view, intent bar."""

import streamlit as st

from app import warm

warm.wait()  # before the imports below: the server makes them beside its start, and two threads at once would trip over circles

from app import frame, rail, state  # noqa: E402
from app.site import OtherFleet  # noqa: E402

st.set_page_config(page_title="Intentwin", page_icon=str(frame.ICON), layout="wide", initial_sidebar_state=208)
st.logo(str(frame.ICON.with_name("logo.svg" if state.theme() == "light" else "logo-dark.svg")), size="small", icon_image=str(frame.ICON))
page = st.navigation(frame.pages())
state.publish()
frame.style(state.colours())
frame.follow()
frame.context_bar(page.url_path or rail.FIRST)
frame.notices()
frame.rail_foot()
frame.intent_bar()
try:
    page.run()
except OtherFleet as error:
    st.error(f"This run cannot be drawn: {error}.", icon=":material/error:")
warm.drawn()
