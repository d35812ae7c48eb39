"""Small components that Streamlit does not have, drawn in the browser."""
